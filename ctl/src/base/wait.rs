//! Waits for a program: collects a bounded part of its output, and ends it on a timeout or a signal. It needs no
//! further thread, so nothing can fail for lack of one while the program runs.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::base::interrupt;
use crate::base::passed_on::PassedOn;

/// How long to wait for a program to end after SIGTERM, and for the rest of its output after it has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same after an interrupt, since Nix cleans up its builds.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(5);

/// The polling interval: a signal that arrives just before a wait is noticed after it.
const LOOK: Duration = Duration::from_millis(500);

/// The part of an output that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of it, up to [`WHOLE`]; more is an error.
    Whole,
    /// The first and the last [`END`] bytes, for output that people read and that may come from a container.
    Ends,
}

/// The largest output that is kept whole.
pub(crate) const WHOLE: usize = 4 << 20;
/// The number of bytes kept of each end of an output.
const END: usize = 64 << 10;

/// How a program ended.
pub(crate) struct Waited {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard output; `None` if it was too large.
    pub(crate) stdout: Option<Vec<u8>>,
    /// The ends of its standard error.
    pub(crate) stderr: Vec<u8>,
    /// Whether it was ended because its time was over.
    pub(crate) late: bool,
}

/// How to wait for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    /// The time limit, after which the program is terminated.
    pub(crate) limit: Option<Duration>,
    /// The maximum size of the standard output that is kept.
    pub(crate) keep: Keep,
    /// Whether the program leads its own process group.
    pub(crate) grouped: bool,
    /// Whether its standard error is passed on as it arrives.
    pub(crate) pass_on: bool,
}

/// Waits for a program that was started with pipes.
pub(crate) fn wait(mut child: Child, how: How) -> io::Result<Waited> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let outcome = pid.ok_or(Errno::SRCH).and_then(|pid| watch(&mut child, pid, how));
    match outcome {
        Ok((stdout, stderr, late)) => Ok(Waited { status: child.wait()?, stdout, stderr, late }),
        Err(error) => {
            // It must not outlive the call that it belongs to.
            if let Some(pid) = pid {
                end(pid, how.grouped, Signal::KILL);
            }
            let _ = child.wait();
            Err(error.into())
        }
    }
}

type Output = (Option<Vec<u8>>, Vec<u8>, bool);

fn watch(child: &mut Child, pid: Pid, how: How) -> Result<Output, Errno> {
    let How { limit, keep, grouped, pass_on } = how;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut stdout = Pipe::new(child.stdout.take().map(OwnedFd::from), keep, false)?;
    let mut stderr = Pipe::new(child.stderr.take().map(OwnedFd::from), Keep::Ends, pass_on)?;
    let mut deadline = limit.map(|limit| Instant::now() + limit);
    let (mut late, mut told, mut gone) = (false, false, false);
    loop {
        if !gone && interrupt::wanted() && !told {
            end(pid, grouped, Signal::TERM);
            told = true;
            deadline = Some(Instant::now() + INTERRUPT_PATIENCE);
        }
        let now = Instant::now();
        if let Some(over) = deadline.filter(|deadline| *deadline <= now) {
            match (gone, told) {
                // Processes that keep the output open are not waited for.
                (true, _) => break,
                (false, false) => {
                    late = true;
                    told = true;
                    end(pid, grouped, Signal::TERM);
                }
                (false, true) => end(pid, grouped, Signal::KILL),
            }
            deadline = Some(over.max(now) + PATIENCE);
        }
        if gone && stdout.ended() && stderr.ended() {
            break;
        }
        let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(now).min(LOOK));
        let ready = ready(if gone { None } else { Some(&process) }, &stdout, &stderr, left)?;
        if ready[0] && !gone {
            gone = true;
            deadline = Some(Instant::now() + PATIENCE);
        }
        if ready[1] {
            stdout.take()?;
        }
        if ready[2] {
            stderr.take()?;
        }
    }
    Ok((stdout.whole(), stderr.ends(), late))
}

/// Returns which of process, standard output and standard error are ready.
fn ready(
    process: Option<&OwnedFd>,
    stdout: &Pipe,
    stderr: &Pipe,
    left: Duration,
) -> Result<[bool; 3], Errno> {
    let sources = [process, stdout.open.as_ref(), stderr.open.as_ref()];
    let mut polled: Vec<PollFd> =
        sources.iter().flatten().map(|source| PollFd::new(source, PollFlags::IN)).collect();
    let time = Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    let mut answers = polled.iter().map(|one| !one.revents().is_empty());
    Ok(sources.map(|source| source.is_some() && answers.next().unwrap_or(false)))
}

/// Signals a program, or its process group if it leads one. SIGCONT follows, since a stopped program handles no other
/// signal.
fn end(pid: Pid, grouped: bool, signal: Signal) {
    for signal in [signal, Signal::CONT] {
        let _ = if grouped { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }
}

/// An output of the program.
struct Pipe {
    /// `None` once the output has ended.
    open: Option<OwnedFd>,
    keep: Keep,
    /// Writes the output to our standard error as well.
    passed_on: Option<PassedOn>,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Pipe {
    fn new(open: Option<OwnedFd>, keep: Keep, pass_on: bool) -> Result<Self, Errno> {
        if let Some(pipe) = &open {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        let passed_on = pass_on.then(PassedOn::default);
        Ok(Self { open, keep, passed_on, head: Vec::new(), tail: VecDeque::new(), left_out: 0 })
    }

    fn ended(&self) -> bool {
        self.open.is_none()
    }

    /// Reads what is available.
    fn take(&mut self) -> Result<(), Errno> {
        let mut buffer = [0; 16 << 10];
        // Bounded, so that the deadline of a program that never stops writing is still checked.
        for _ in 0..64 {
            let Some(pipe) = &self.open else { return Ok(()) };
            match read(pipe.as_fd(), &mut buffer) {
                Ok(0) => self.open = None,
                Ok(length) => self.keep(&buffer[..length]),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(passed_on) = &mut self.passed_on {
            passed_on.write(bytes);
        }
        let room = match self.keep {
            Keep::Whole => WHOLE,
            Keep::Ends => END,
        };
        let (head, rest) = bytes.split_at(bytes.len().min(room.saturating_sub(self.head.len())));
        self.head.extend_from_slice(head);
        if self.keep == Keep::Whole {
            self.left_out += rest.len() as u64;
            return;
        }
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(END);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    fn whole(self) -> Option<Vec<u8>> {
        (self.keep == Keep::Ends || self.left_out == 0).then(|| self.ends())
    }

    fn ends(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.left_out > 0 {
            bytes.extend(format!("\n[{} bytes left out]\n", self.left_out).bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    fn run(script: &str, limit: Option<Duration>, keep: Keep) -> Waited {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let how = How { limit, keep, grouped: true, pass_on: false };
        wait(command.process_group(0).spawn().unwrap(), how).unwrap()
    }

    #[test]
    fn output_and_status() {
        let waited = run("echo out; echo err >&2; exit 3", None, Keep::Whole);
        assert_eq!(waited.stdout.as_deref(), Some(&b"out\n"[..]));
        assert_eq!((waited.stderr, waited.status.code(), waited.late), (b"err\n".to_vec(), Some(3), false));
    }

    #[test]
    fn endless_output_is_bounded() {
        let waited = run("yes | head -c 10000000; echo last", None, Keep::Ends);
        let stdout = waited.stdout.unwrap();
        assert!(stdout.len() < 3 * END && stdout.ends_with(b"last\n"), "{}", stdout.len());
        assert!(String::from_utf8_lossy(&stdout).contains(" bytes left out]\n"));
        assert!(run("yes | head -c 5000000", None, Keep::Whole).stdout.is_none());
    }

    #[test]
    fn programs_end_after_their_time_limit() {
        for script in [
            "sleep 100",
            "trap '' TERM; sleep 100 & wait; sleep 100",
            "yes >&2",
            "sleep 100 & exec sleep 100",
        ] {
            let begin = Instant::now();
            let waited = run(script, Some(Duration::from_millis(300)), Keep::Ends);
            assert!(waited.late && !waited.status.success(), "{script}");
            assert!(begin.elapsed() < Duration::from_secs(6), "{script}: {:?}", begin.elapsed());
        }
        // Processes that keep the output open are not waited for.
        let begin = Instant::now();
        let waited = run("sleep 100 & echo x", None, Keep::Whole);
        assert_eq!((waited.late, waited.stdout.as_deref()), (false, Some(&b"x\n"[..])));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

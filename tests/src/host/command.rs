//! Runs a program to its end, with a timeout, and returns its exit status and output. A program that takes too long is
//! killed with all its children, and the caller panics: a timeout is never a result.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended and what it printed.
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The status from wait(2).
    pub status: ExitStatus,
    /// Standard output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// Whether the exit status is 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Returns the exit status as a shell shows it: 128 plus the signal number if the program was killed.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Returns standard output followed by standard error.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}`: exit status {}", self.command, self.code())?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// A deadline.
#[derive(Clone, Copy)]
pub struct Timeout {
    end: Instant,
    bound: Duration,
}

impl Timeout {
    /// Returns the deadline `bound` from now.
    pub fn after(bound: Duration) -> Self {
        Self { end: Instant::now() + bound, bound }
    }

    /// Whether it has passed.
    pub fn over(self) -> bool {
        Instant::now() >= self.end
    }
}

/// The longest pause between two attempts of [`wait_until`].
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Polls `condition` until it holds. Panics with `what` if `timeout` passes first.
pub fn wait_until(what: &str, timeout: Timeout, mut condition: impl FnMut() -> bool) {
    // Each attempt starts programs on a host, so that many tests that wait would keep the others from going on.
    let mut pause = Duration::from_millis(50);
    while !condition() {
        assert!(!timeout.over(), "after {} s still not so: {what}", timeout.bound.as_secs());
        thread::sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 5 / 4);
    }
}

/// Runs `command` in its own process group with `input` on standard input.
pub fn run(command: &mut Command, input: Option<&[u8]>, timeout: Timeout) -> Output {
    let line = line(command);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("`{line}` cannot be run: {e}"));
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        let input = input.to_vec();
        // In a thread, because the program may print before it reads. It may also exit without reading everything.
        thread::spawn(move || stdin.write_all(&input));
    }
    let stdout = Reader::new(child.stdout.take().expect("piped"));
    let stderr = Reader::new(child.stderr.take().expect("piped"));

    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if timeout.over() {
            kill_group(&child);
            let _ = child.wait();
            panic!(
                "`{line}` took more than {} s\n--- stdout\n{}\n--- stderr\n{}",
                timeout.bound.as_secs(),
                stdout.text(),
                stderr.text()
            );
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output { command: line, status, stdout: stdout.text(), stderr: stderr.text() }
}

/// Kills the process group that `child` leads, in any state: SIGKILL also ends stopped processes.
pub(super) fn kill_group(child: &Child) {
    let group = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Collects the output of a pipe.
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

impl Reader {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                sink.lock().expect("no panic while held").extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, thread }
    }

    /// Returns everything. A background process may keep the pipe open, so this waits only for a short time.
    fn text(&self) -> String {
        let grace = Timeout::after(Duration::from_secs(2));
        while !self.thread.is_finished() && !grace.over() {
            thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&self.bytes.lock().expect("no panic while held")).into_owned()
    }
}

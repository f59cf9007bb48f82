//! Calling other programs: systemctl, nix and the like. The exit status is checked, signals included, and a failure says
//! which program failed and what it said. [`Programs`] is what runs them.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, IsTerminal, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::interrupt;

/// A call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program, found in PATH if it is a plain name, and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Ends the program when it takes longer.
    pub(crate) limit: Option<Duration>,
    /// Whether it may ask the user on the terminal.
    pub(crate) asks: bool,
    /// Whether its standard error is the user's.
    pub(crate) messages: bool,
}

impl Call {
    /// The words as text, for messages.
    pub(crate) fn text(&self) -> Vec<String> {
        self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }
}

/// How a call ended, and what the program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error, unless that was the user's.
    pub(crate) stderr: String,
}

/// What runs programs: the machine, or a script in tests.
pub(crate) trait Programs {
    /// Runs a program to its end.
    fn run(&self, call: &Call) -> Result<Ended>;
}

/// The machine's own programs.
pub(crate) struct Machine;

impl Programs for Machine {
    fn run(&self, call: &Call) -> Result<Ended> {
        let name = call.words.first().cloned().unwrap_or_default();
        let shown = name.to_string_lossy();
        let mut command = Command::new(&name);
        command.args(&call.words[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(if call.messages { Stdio::inherit() } else { Stdio::piped() });
        if call.asks {
            // Nix reads its answer to "allow this configuration setting?" there; without a terminal it must not wait for one.
            if std::io::stdin().is_terminal() {
                command.stdin(Stdio::inherit());
            }
        } else {
            // A group of its own: the terminal's Ctrl-C is ours to pass on, and must not end the calls of a clean-up.
            command.process_group(0);
        }
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failed::Program(format!("{shown}: not found")),
            _ => Failed::Program(format!("{shown}: cannot be run: {error}")),
        })?;
        let (output, in_time) =
            wait(child, call.limit, call.asks).with_context(|| shown.clone().into_owned())?;
        interrupt::check()?;
        if !in_time {
            let seconds = call.limit.unwrap_or_default().as_secs();
            return Err(Failed::Program(format!("{shown}: took longer than {seconds} s")).into());
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) })
    }
}

/// A program to call on a host.
pub(crate) struct Program<'a> {
    host: &'a Host,
    call: Call,
}

impl<'a> Program<'a> {
    /// Returns the program `path`.
    pub(crate) fn new(host: &'a Host, path: impl AsRef<OsStr>) -> Self {
        let words = vec![path.as_ref().to_owned()];
        Self { host, call: Call { words, limit: None, asks: false, messages: false } }
    }

    /// Adds a word.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.call.words.push(word.as_ref().to_owned());
        self
    }

    /// Adds words.
    pub(crate) fn args(self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        words.into_iter().fold(self, Program::arg)
    }

    /// Its standard output; standard error goes into the message of a failure.
    pub(crate) fn output(self) -> Result<String> {
        let (call, ended) = self.finish()?;
        checked(&ended, &call)?;
        Ok(ended.stdout)
    }

    /// Its standard output, while standard error is the user's.
    pub(crate) fn output_with_messages(mut self) -> Result<String> {
        self.call.messages = true;
        let (call, ended) = self.finish()?;
        checked(&ended, &call)?;
        Ok(ended.stdout)
    }

    /// Its standard output if it ended well, whatever it said otherwise.
    pub(crate) fn output_if_any(self) -> Option<String> {
        let (_, ended) = self.finish().ok()?;
        ended.status.success().then_some(ended.stdout)
    }

    /// How it ended and its standard output, whatever its status.
    pub(crate) fn answer(self) -> Result<(ExitStatus, String)> {
        let (_, ended) = self.finish()?;
        Ok((ended.status, ended.stdout))
    }

    /// How it ended; what it wrote is reported. It gets no descriptor of the user's terminal, which systemd-run would pass
    /// on into the container, and nothing that it writes reaches the terminal raw.
    pub(crate) fn status_with_messages(self) -> Result<ExitStatus> {
        let host = self.host;
        let (_, ended) = self.finish()?;
        let lines = ended.stdout.lines().chain(ended.stderr.lines()).map(str::to_owned).collect();
        host.report(Event::ProgramOutput { lines });
        Ok(ended.status)
    }

    /// Lets it ask on the terminal, for a password or a host key. Ctrl-C then reaches it without us.
    pub(crate) fn may_ask(mut self) -> Self {
        self.call.asks = true;
        self
    }

    /// Ends it when it takes longer.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.call.limit = Some(limit);
        self
    }

    fn finish(self) -> Result<(Call, Ended)> {
        interrupt::check()?;
        if self.host.verbose {
            self.host.report(Event::Called { words: self.call.text() });
        }
        let ended = self.host.programs.run(&self.call)?;
        Ok((self.call, ended))
    }
}

/// Waits for the program's end; false if it had to be ended. What it started itself may hold its output open for ever: that
/// is not waited for.
fn wait(mut child: Child, limit: Option<Duration>, asks: bool) -> std::io::Result<(Output, bool)> {
    let stdout = Reader::start(child.stdout.take());
    let stderr = Reader::start(child.stderr.take());
    let id = i32::try_from(child.id()).unwrap_or(0);
    interrupt::waiting_for(id, asks);
    let (done, waited) = std::sync::mpsc::channel::<()>();
    let timer = limit.map(|limit| {
        std::thread::spawn(move || {
            let late = waited.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                interrupt::end(id, asks, Signal::TERM);
                if waited.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    interrupt::end(id, asks, Signal::KILL);
                }
            }
            late
        })
    });
    let status = child.wait();
    drop(done);
    interrupt::waiting_for(0, false);
    let late = timer.is_some_and(|timer| timer.join().unwrap_or(false));
    Ok((Output { status: status?, stdout: stdout.finish(), stderr: stderr.finish() }, !late))
}

/// How long a program may take to end after it was told to, and its output to come after it has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Collects what a program writes.
struct Reader {
    text: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Reader {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let (at_end, end) = std::sync::mpsc::channel();
        if let Some(mut pipe) = pipe {
            let text = Arc::clone(&text);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                    if let Ok(mut text) = text.lock() {
                        text.extend_from_slice(&buffer[..length]);
                    }
                }
                drop(at_end);
            });
        }
        Self { text, end }
    }

    /// What has come when the program has ended.
    fn finish(self) -> Vec<u8> {
        let _ = self.end.recv_timeout(PATIENCE);
        self.text.lock().map(|mut text| std::mem::take(&mut *text)).unwrap_or_default()
    }
}

/// How a program ended, in words.
pub(crate) fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

fn checked(ended: &Ended, call: &Call) -> Result<()> {
    if ended.status.success() {
        return Ok(());
    }
    let words = call.text();
    let how = self::ended(ended.status);
    let said: Vec<&str> = ended.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(" | ")) };
    // Name and command tell which call it was; -v shows all of its words.
    let name = words[0].rsplit('/').next().unwrap_or_default();
    let command = words.get(1).filter(|word| !word.starts_with('-')).map(|word| format!(" {word}"));
    let call = format!("{name}{}", command.unwrap_or_default());
    Err(Failed::Program(format!("{call}: {how}{said}")).into())
}

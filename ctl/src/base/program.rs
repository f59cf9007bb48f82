//! Calls other programs, such as systemctl and nix. Exit status and signals are checked; an error names the program
//! and includes its error output. [`Programs`] runs them.

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
use crate::base::interrupt;

/// A call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program, looked up in PATH if it is a plain name, and its arguments.
    pub(crate) words: Vec<OsString>,
    /// The time after which the program is ended.
    pub(crate) limit: Option<Duration>,
    /// Whether the program may prompt the user on the terminal.
    pub(crate) asks: bool,
    /// Whether its standard error is inherited.
    pub(crate) messages: bool,
}

impl Call {
    /// Returns the words as text, for messages.
    pub(crate) fn text(&self) -> Vec<String> {
        self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error, unless it was inherited.
    pub(crate) stderr: String,
}

/// Runs programs: the real ones, or scripted ones in tests.
pub(crate) trait Programs {
    /// Runs a program until it ends.
    fn run(&self, call: &Call) -> Result<Ended>;
}

/// Runs the programs of this machine.
pub(crate) struct Machine;

impl Programs for Machine {
    fn run(&self, call: &Call) -> Result<Ended> {
        let name = call.words.first().cloned().unwrap_or_default();
        let shown = name.to_string_lossy();
        let mut command = Command::new(&name);
        command.args(&call.words[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(if call.messages { Stdio::inherit() } else { Stdio::piped() });
        if call.asks {
            // Nix asks "allow this configuration setting?" on standard input; without a terminal it must not wait for
            // an answer.
            if std::io::stdin().is_terminal() {
                command.stdin(Stdio::inherit());
            }
        } else {
            // In its own process group the program is not hit by the terminal's Ctrl-C: we forward it, except during
            // a clean-up.
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

/// A program to call.
pub(crate) struct Program<'a> {
    programs: &'a dyn Programs,
    /// Receives the output as events, and the call itself with `--verbose`.
    watcher: &'a dyn Fn(Event),
    verbose: bool,
    call: Call,
}

impl<'a> Program<'a> {
    /// Returns a call of the program `path`, run by `programs`.
    pub(crate) fn new(
        path: impl AsRef<OsStr>,
        programs: &'a dyn Programs,
        watcher: &'a dyn Fn(Event),
        verbose: bool,
    ) -> Self {
        let words = vec![path.as_ref().to_owned()];
        let call = Call { words, limit: None, asks: false, messages: false };
        Self { programs, watcher, verbose, call }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.call.words.push(word.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args(self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        words.into_iter().fold(self, Program::arg)
    }

    /// Returns its standard output; standard error becomes part of the error message.
    pub(crate) fn output(self) -> Result<String> {
        let (call, ended) = self.finish()?;
        checked(&ended, &call)?;
        Ok(ended.stdout)
    }

    /// Returns its standard output; standard error is inherited.
    pub(crate) fn output_with_messages(mut self) -> Result<String> {
        self.call.messages = true;
        let (call, ended) = self.finish()?;
        checked(&ended, &call)?;
        Ok(ended.stdout)
    }

    /// Returns its standard output if it succeeds, and ignores errors.
    pub(crate) fn output_if_any(self) -> Option<String> {
        let (_, ended) = self.finish().ok()?;
        ended.status.success().then_some(ended.stdout)
    }

    /// Returns its exit status and standard output, whatever the status.
    pub(crate) fn answer(self) -> Result<(ExitStatus, String)> {
        let (_, ended) = self.finish()?;
        Ok((ended.status, ended.stdout))
    }

    /// Returns its exit status and reports its output as events. It inherits no descriptor of the terminal, which
    /// systemd-run would pass on into the container, and its output never reaches the terminal unfiltered.
    pub(crate) fn status_with_messages(self) -> Result<ExitStatus> {
        let watcher = self.watcher;
        let (_, ended) = self.finish()?;
        let lines = ended.stdout.lines().chain(ended.stderr.lines()).map(str::to_owned).collect();
        watcher(Event::ProgramOutput { lines });
        Ok(ended.status)
    }

    /// Lets the program prompt on the terminal, for a password or a host key. It then receives Ctrl-C directly.
    pub(crate) fn may_ask(mut self) -> Self {
        self.call.asks = true;
        self
    }

    /// Ends the program after this time.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.call.limit = Some(limit);
        self
    }

    fn finish(self) -> Result<(Call, Ended)> {
        interrupt::check()?;
        if self.verbose {
            (self.watcher)(Event::Called { words: self.call.text() });
        }
        let ended = self.programs.run(&self.call)?;
        Ok((self.call, ended))
    }
}

/// Waits for the program to end; returns false if it had to be ended. Descendants that keep its output open are not
/// waited for.
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

/// How long a program may take to end after the signal, and its output to arrive after its end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Collects the output of a program.
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

    /// Returns what has arrived when the program has ended.
    fn finish(self) -> Vec<u8> {
        let _ = self.end.recv_timeout(PATIENCE);
        self.text.lock().map(|mut text| std::mem::take(&mut *text)).unwrap_or_default()
    }
}

/// Describes how a program ended.
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
    // Program and subcommand identify the call; -v shows all arguments.
    let name = words[0].rsplit('/').next().unwrap_or_default();
    let command = words.get(1).filter(|word| !word.starts_with('-')).map(|word| format!(" {word}"));
    let call = format!("{name}{}", command.unwrap_or_default());
    Err(Failed::Program(format!("{call}: {how}{said}")).into())
}

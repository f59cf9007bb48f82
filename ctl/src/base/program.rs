//! Calling other programs: systemctl, nix and the like. Words go in, a whole answer comes out; the exit status is
//! checked, signals included, and a failure says which program failed and what it said.

use std::ffi::OsStr;
use std::io::{ErrorKind, IsTerminal, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::base::exit::Failed;
use crate::base::{interrupt, output};

/// A program to call.
pub(crate) struct Program {
    command: Command,
    words: Vec<String>,
    verbose: bool,
    limit: Option<Duration>,
    /// Whether it may ask the user on the terminal.
    asks: bool,
}

impl Program {
    /// The program `path`, found in PATH if it is a plain name.
    pub(crate) fn new(path: impl AsRef<OsStr>, verbose: bool) -> Self {
        let mut command = Command::new(&path);
        command.stdin(Stdio::null());
        Self {
            command,
            words: vec![path.as_ref().to_string_lossy().into_owned()],
            verbose,
            limit: None,
            asks: false,
        }
    }

    /// Adds a word.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_string_lossy().into_owned());
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub(crate) fn args(self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        words.into_iter().fold(self, Program::arg)
    }

    /// Its standard output; standard error goes into the message of a failure.
    pub(crate) fn output(self) -> Result<String> {
        let (status, stdout, stderr, words) = self.finish(Stdio::piped())?;
        checked(status, &words, &stderr)?;
        Ok(stdout)
    }

    /// Its standard output, while standard error is the user's.
    pub(crate) fn output_with_messages(self) -> Result<String> {
        let (status, stdout, _, words) = self.finish(Stdio::inherit())?;
        checked(status, &words, "")?;
        Ok(stdout)
    }

    /// Its standard output if it ended well, whatever it said otherwise.
    pub(crate) fn output_if_any(self) -> Option<String> {
        let (status, stdout, _, _) = self.finish(Stdio::piped()).ok()?;
        status.success().then_some(stdout)
    }

    /// How it ended and its standard output, whatever its status.
    pub(crate) fn answer(self) -> Result<(ExitStatus, String)> {
        let (status, stdout, _, _) = self.finish(Stdio::piped())?;
        Ok((status, stdout))
    }

    /// How it ended; what it said is told. It gets no descriptor of the user's terminal, which systemd-run would pass on
    /// into the container, and nothing that it says reaches the terminal raw.
    pub(crate) fn status_with_messages(self) -> Result<ExitStatus> {
        let (status, stdout, stderr, _) = self.finish(Stdio::piped())?;
        output::tell_more(&stdout.lines().chain(stderr.lines()).map(str::to_owned).collect::<Vec<_>>());
        Ok(status)
    }

    /// Lets it ask on the terminal, for a password or a host key. Ctrl-C then reaches it without us.
    pub(crate) fn may_ask(mut self) -> Self {
        self.asks = true;
        // Nix reads its answer to "allow this configuration setting?" there; without a terminal it must not wait for one.
        if std::io::stdin().is_terminal() {
            self.command.stdin(Stdio::inherit());
        }
        self
    }

    /// Ends it when it takes longer.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    fn finish(mut self, stderr: Stdio) -> Result<(ExitStatus, String, String, Vec<String>)> {
        interrupt::check()?;
        if self.verbose {
            output::tell(&format!("+ {}", shell_words(&self.words)));
        }
        if !self.asks {
            // A group of its own: the terminal's Ctrl-C is ours to pass on, and must not end the calls of a clean-up.
            self.command.process_group(0);
        }
        let child = self.command.stdout(Stdio::piped()).stderr(stderr).spawn();
        let child = child.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failed::Program(format!("{}: not found", self.words[0])),
            _ => Failed::Program(format!("{}: cannot be run: {error}", self.words[0])),
        })?;
        let (output, in_time) = wait(child, self.limit, self.asks).with_context(|| self.words[0].clone())?;
        interrupt::check()?;
        if !in_time {
            let seconds = self.limit.unwrap_or_default().as_secs();
            return Err(Failed::Program(format!("{}: took longer than {seconds} s", self.words[0])).into());
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status, text(output.stdout), text(output.stderr), self.words))
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

fn checked(status: ExitStatus, words: &[String], stderr: &str) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let how = ended(status);
    let said: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(" | ")) };
    // Name and command tell which call it was; -v shows all of its words.
    let name = words[0].rsplit('/').next().unwrap_or_default();
    let command = words.get(1).filter(|word| !word.starts_with('-')).map(|word| format!(" {word}"));
    let call = format!("{name}{}", command.unwrap_or_default());
    Err(Failed::Program(format!("{call}: {how}{said}")).into())
}

/// The words as a shell would take them.
fn shell_words(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,#".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

//! Calling other programs: systemctl, nix and the like. The exit status is checked, signals included, and a failure says
//! which program failed and what it said. [`Programs`] is what runs them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::wait::{Keep, WHOLE, wait};
use crate::base::{held, interrupt};

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
    /// How much of its standard output is kept.
    pub(crate) keep: Keep,
    /// Variables of the environment that it gets, or does not get.
    pub(crate) environment: Vec<(&'static str, Option<&'static str>)>,
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
        for (name, value) in &call.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if call.asks {
            // Nix reads its answer to "allow this configuration setting?" there; without a terminal it must not wait for one.
            if std::io::stdin().is_terminal() {
                command.stdin(Stdio::inherit());
            }
        } else {
            // A group of its own: the terminal's Ctrl-C is ours to pass on, and must not end the calls of a clean-up.
            command.process_group(0);
        }
        let child = spawn(&mut command, call.asks).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failed::Program(format!("{shown}: not found")),
            _ => Failed::Program(format!("{shown}: cannot be run: {error}")),
        })?;
        let waited =
            wait(child, call.limit, call.keep, !call.asks).with_context(|| shown.clone().into_owned())?;
        interrupt::check()?;
        if waited.late {
            let seconds = call.limit.unwrap_or_default().as_secs();
            return Err(Failed::Program(format!("{shown}: took longer than {seconds} s")).into());
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let Some(stdout) = waited.stdout else {
            let message = format!("{shown}: wrote more than {} MiB", WHOLE >> 20);
            return Err(Failed::Program(message).into());
        };
        Ok(Ended { status: waited.status, stdout: text(stdout), stderr: text(waited.stderr) })
    }
}

/// Starts a program. One that may take long, which are those that may ask, holds our locks as well: a build that
/// outlives us goes on writing, and who wants to change the same container waits for its end.
fn spawn(command: &mut Command, long: bool) -> io::Result<Child> {
    let locks = if long { held::files() } else { Vec::new() };
    for lock in &locks {
        fcntl_setfd(lock, FdFlags::empty())?;
    }
    let child = command.spawn();
    for lock in &locks {
        fcntl_setfd(lock, FdFlags::CLOEXEC)?;
    }
    child
}

/// A program to call.
pub(crate) struct Program<'a> {
    programs: &'a dyn Programs,
    /// Is told of the output; and of the call, if it shall be shown.
    watcher: &'a dyn Fn(Event),
    verbose: bool,
    call: Call,
}

impl<'a> Program<'a> {
    /// Returns the program `path`, run by `programs`.
    pub(crate) fn new(
        path: impl AsRef<OsStr>,
        programs: &'a dyn Programs,
        watcher: &'a dyn Fn(Event),
        verbose: bool,
    ) -> Self {
        let words = vec![path.as_ref().to_owned()];
        let call = Call {
            words,
            limit: None,
            asks: false,
            messages: false,
            keep: Keep::Whole,
            environment: Vec::new(),
        };
        Self { programs, watcher, verbose, call }
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
    pub(crate) fn answer(mut self) -> Result<(ExitStatus, String)> {
        self.call.keep = Keep::Ends;
        let (_, ended) = self.finish()?;
        Ok((ended.status, ended.stdout))
    }

    /// How it ended; what it wrote is reported. It gets no descriptor of the user's terminal, which systemd-run would pass
    /// on into the container, and nothing that it writes reaches the terminal raw.
    pub(crate) fn status_with_messages(mut self) -> Result<ExitStatus> {
        self.call.keep = Keep::Ends;
        let watcher = self.watcher;
        let (_, ended) = self.finish()?;
        let lines = ended.stdout.lines().chain(ended.stderr.lines()).map(str::to_owned).collect();
        watcher(Event::ProgramOutput { lines });
        Ok(ended.status)
    }

    /// Lets it ask on the terminal, for a password or a host key. Ctrl-C then reaches it without us.
    pub(crate) fn may_ask(mut self) -> Self {
        self.call.asks = true;
        self
    }

    /// Sets a variable of its environment, or takes it away.
    pub(crate) fn variable(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.call.environment.push((name, value));
        self
    }

    /// Ends it when it takes longer.
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

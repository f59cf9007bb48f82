//! Calls other programs, such as systemctl and nix. Exit status and signals are checked; an error names the program
//! and includes its error output. [`Programs`] runs them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::base::at_once::at_once;
use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::wait::{How, Keep, WHOLE, wait};
use crate::base::{held, interrupt};

/// A call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program, looked up in PATH if it is a plain name, and its arguments.
    pub(crate) words: Vec<OsString>,
    /// The time after which the program is ended.
    pub(crate) limit: Option<Duration>,
    /// Whether the program may prompt the user on the terminal.
    pub(crate) asks: bool,
    /// How its standard error is handled.
    pub(crate) messages: Messages,
    /// The maximum size of its standard output that is kept.
    pub(crate) keep: Keep,
    /// Environment variables to set or to remove.
    pub(crate) environment: Vec<(&'static str, Option<String>)>,
}

/// How a program's standard error is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Captured, for the error message.
    Kept,
    /// Captured, and passed on as it arrives.
    PassedOn,
    /// Inherited if it is a terminal, so that the program can show its progress; otherwise captured and passed on.
    Live,
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
    /// The captured standard error, unless it was inherited.
    pub(crate) stderr: String,
}

/// Runs programs: the real ones, or scripted ones in tests.
pub(crate) trait Programs {
    /// Runs a program until it ends.
    fn run(&self, call: &Call) -> Result<Ended>;

    /// Runs several programs, at most `jobs` in parallel.
    fn run_all(&self, calls: &[Call], _jobs: usize) -> Vec<Result<Ended>> {
        calls.iter().map(|call| self.run(call)).collect()
    }
}

/// Runs the programs of this machine.
pub(crate) struct Machine;

impl Programs for Machine {
    fn run(&self, call: &Call) -> Result<Ended> {
        let name = call.words.first().cloned().unwrap_or_default();
        let shown = name.to_string_lossy();
        let mut command = Command::new(&name);
        command.args(&call.words[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
        let live = call.messages == Messages::Live && io::stderr().is_terminal();
        command.stderr(if live { Stdio::inherit() } else { Stdio::piped() });
        for (name, value) in &call.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
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
        let child = spawn(&mut command, call.asks).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failed::Program(format!("{shown}: not found")),
            _ => Failed::Program(format!("{shown}: cannot be run: {error}")),
        })?;
        let how = How {
            limit: call.limit,
            keep: call.keep,
            grouped: !call.asks,
            pass_on: call.messages != Messages::Kept,
        };
        let waited = wait(child, how).with_context(|| shown.clone().into_owned())?;
        interrupt::check()?;
        if waited.late {
            return Err(Failed::Program(late(call)).into());
        }
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        let Some(stdout) = waited.stdout else {
            let message = format!("{shown}: wrote more than {} MiB", WHOLE >> 20);
            return Err(Failed::Program(message).into());
        };
        Ok(Ended { status: waited.status, stdout: text(stdout), stderr: text(waited.stderr) })
    }

    fn run_all(&self, calls: &[Call], jobs: usize) -> Vec<Result<Ended>> {
        at_once(calls, jobs, |call| self.run(call))
    }
}

/// Starts a program. One that may prompt, and so take long, also holds our locks: a build that outlives us keeps
/// writing, and other commands for the same container wait for its end.
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
        let call = Call {
            words,
            limit: None,
            asks: false,
            messages: Messages::Kept,
            keep: Keep::Whole,
            environment: Vec::new(),
        };
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

    /// Passes its standard error on as it arrives.
    pub(crate) fn passing_on(mut self) -> Self {
        self.call.messages = Messages::PassedOn;
        self
    }

    /// Runs the program and returns its exit status, whatever that is, and its output.
    pub(crate) fn ended_with(mut self, messages: Messages) -> Result<Ended> {
        self.call.messages = messages;
        Ok(self.finish()?.1)
    }

    /// Returns its standard output if it succeeds, and ignores errors.
    pub(crate) fn output_if_any(self) -> Option<String> {
        let (_, ended) = self.finish().ok()?;
        ended.status.success().then_some(ended.stdout)
    }

    /// Returns its exit status and standard output, whatever the status.
    pub(crate) fn answer(mut self) -> Result<(ExitStatus, String)> {
        self.call.keep = Keep::Ends;
        let (_, ended) = self.finish()?;
        Ok((ended.status, ended.stdout))
    }

    /// Returns its exit status and reports its output as events. It inherits no descriptor of the terminal, which
    /// systemd-run would pass on into the container, and its output never reaches the terminal unfiltered.
    pub(crate) fn status_with_messages(mut self) -> Result<ExitStatus> {
        self.call.keep = Keep::Ends;
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

    /// Sets or removes an environment variable.
    pub(crate) fn variable(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.call.environment.push((name, value.map(str::to_owned)));
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

/// Runs several programs, at most `jobs` in parallel, and returns their results in the same order.
pub(crate) fn ended_all(programs: Vec<Program>, jobs: usize) -> Vec<Result<Ended>> {
    let Some(first) = programs.first() else { return Vec::new() };
    let runner = first.programs;
    for program in programs.iter().filter(|program| program.verbose) {
        (program.watcher)(Event::Called { words: program.call.text() });
    }
    let calls: Vec<Call> = programs.into_iter().map(|program| program.call).collect();
    runner.run_all(&calls, jobs)
}

/// Describes a call that took too long, by its program and the words before the first option.
fn late(call: &Call) -> String {
    let words = call.text();
    let command = words.iter().skip(1).take(2).take_while(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    });
    let command: String = command.map(|word| format!(" {word}")).collect();
    let seconds = call.limit.unwrap_or_default().as_secs();
    let program = words.first().map_or("", String::as_str);
    format!("{program}{command}: took longer than {seconds} s and was ended")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_too_long_is_named() {
        let late = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            let limit = Some(Duration::from_secs(300));
            let (messages, keep) = (Messages::Kept, Keep::Whole);
            late(&Call { words, limit, asks: false, messages, keep, environment: Vec::new() })
        };
        let said = late(&["/bin/nix", "flake", "metadata", "--json", "https://me:pw@h"]);
        assert_eq!(said, "/bin/nix flake metadata: took longer than 300 s and was ended");
        assert_eq!(late(&["nix", "eval", "--json"]), "nix eval: took longer than 300 s and was ended");
    }
}

//! Calls of programs, and what runs them.

use std::ffi::OsString;
use std::io;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::base::at_once::at_once;
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

/// Receives the results of several programs, by their indices.
pub(crate) type OnEnd<'a> = &'a (dyn Fn(usize, Result<Ended>) + Sync);

/// Runs programs: the real ones, or scripted ones in tests.
pub(crate) trait Programs {
    /// Runs a program until it ends.
    fn run(&self, call: &Call) -> Result<Ended>;

    /// Runs several programs, at most `jobs` in parallel, and reports the end of each.
    fn run_all(&self, calls: &[Call], _jobs: usize, ended: OnEnd) {
        calls.iter().enumerate().for_each(|(at, call)| ended(at, self.run(call)));
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

    fn run_all(&self, calls: &[Call], jobs: usize, ended: OnEnd) {
        at_once(calls, jobs, |at, call| ended(at, interrupt::check().and_then(|()| self.run(call))));
    }
}

/// Starts a program. One that may prompt, and so take long, also holds our locks: a build that outlives us keeps
/// writing, and other commands for the same container wait for its end.
fn spawn(command: &mut Command, long: bool) -> io::Result<Child> {
    // While one thread passes its locks on, no other may start a program, which would hold them as well.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
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

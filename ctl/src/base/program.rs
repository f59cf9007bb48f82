//! Builds calls of other programs, such as systemctl and nix. Exit status and signals are checked; an error names the
//! program and includes its error output.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;

use crate::base::call::{Call, Ended, Messages, OnEnd, Programs};
use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::wait::Keep;

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

/// Runs several programs, at most `jobs` in parallel, and reports the end of each.
pub(crate) fn run_all(programs: Vec<Program>, jobs: usize, ended: OnEnd) {
    let Some(first) = programs.first() else { return };
    let runner = first.programs;
    for program in programs.iter().filter(|program| program.verbose) {
        (program.watcher)(Event::Called { words: program.call.text() });
    }
    let calls: Vec<Call> = programs.into_iter().map(|program| program.call).collect();
    runner.run_all(&calls, jobs, ended);
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

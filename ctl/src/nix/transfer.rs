//! Moves closures between stores by `nix-store --export` and `--import`.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::program::ended;
use crate::nix::tool::Nix;

impl Nix<'_> {
    /// Returns the paths that a path needs, itself included.
    pub(crate) fn requisites(&self, path: &StorePath) -> Result<Vec<String>> {
        let call = self.host.program(self.tool("nix-store")).args(["--query", "--requisites", path.as_str()]);
        Ok(call.output()?.lines().map(str::to_owned).collect())
    }

    /// Reads what `nix-store --export` writes for these paths.
    pub(crate) fn export(
        &self,
        paths: &[String],
        take: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut child = self.spawn("--export", paths, (Stdio::null(), Stdio::piped()))?;
        let taken = match child.0.stdout.take() {
            Some(mut out) => take(&mut out),
            None => Err(anyhow!("nix-store --export has no output")),
        };
        taken.and_then(|()| child.end("--export"))
    }

    /// Writes the input of `nix-store --import`.
    pub(crate) fn import(&self, give: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut child = self.spawn("--import", &[], (Stdio::piped(), Stdio::null()))?;
        let given = match child.0.stdin.take() {
            Some(mut input) => give(&mut input).and_then(|()| Ok(input.flush()?)),
            None => Err(anyhow!("nix-store --import has no input")),
        };
        // Its own error says more than that the pipe is closed.
        let ended = child.end("--import");
        match (given, ended) {
            (Err(error), Ok(())) => Err(error),
            (_, ended) => ended,
        }
    }

    /// Starts nix-store. Its messages pass through.
    fn spawn(&self, action: &str, paths: &[String], (input, output): (Stdio, Stdio)) -> Result<Running> {
        let program = self.tool("nix-store");
        if self.host.verbose {
            let words = [program.display().to_string(), action.to_owned()];
            self.host
                .report(Event::Called { words: words.into_iter().chain(paths.iter().cloned()).collect() });
        }
        let child = Command::new(&program).arg(action).args(paths).stdin(input).stdout(output).spawn();
        Ok(Running(
            child
                .map_err(|error| Failed::Program(format!("{}: cannot be run: {error}", program.display())))?,
        ))
    }
}

/// A program that is killed if it is no longer needed.
struct Running(Child);

impl Running {
    /// Waits for a successful end.
    fn end(&mut self, action: &str) -> Result<()> {
        let status = self.0.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(Failed::Program(format!("nix-store {action}: {}", ended(status))).into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless reading or writing has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

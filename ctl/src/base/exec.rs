//! Replaces this process by another program.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Result;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;

/// Runs a program in the place of this one. It has our terminal, and its exit status becomes ours. Returns only if it
/// cannot be run.
pub(crate) fn exec(host: &Host, words: &[String]) -> Result<()> {
    if host.verbose {
        host.report(Event::Called { words: words.to_vec() });
    }
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let error = Command::new(program).args(arguments).exec();
    let message = match error.kind() {
        ErrorKind::NotFound => format!("{program}: not found"),
        _ => format!("{program}: cannot be run: {error}"),
    };
    Err(Failed::Program(message).into())
}

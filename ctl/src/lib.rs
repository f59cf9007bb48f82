//! nixos-nspawn-ctl: builds containers with Nix, records intents in /etc/nixos-nspawn, and leaves the rest to
//! systemd. It keeps no state outside these intents and the Nix profiles.
//!
//! The layers, each importing only those below it: `command` (one file per verb), `change` (recoverable work),
//! `decision` (pure), `fact` (reads only), `nix`, `host` (one file per external interface), `base`, `cli`. Nothing
//! below `command` prints. See docs/architecture.md.

mod base;
mod change;
mod cli;
mod command;
mod decision;
mod fact;
mod host;
mod nix;

use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{CommandFactory, FromArgMatches};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::base::screen::Screen;
use crate::base::{exit, interrupt};
use crate::cli::{Cli, color, hints, tips};

#[cfg(test)]
mod testing;

/// Returns the JSON Schemas of what commands print with `--json`, by command.
#[cfg(feature = "schema")]
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    command::answers::schemas()
}

/// Runs the program with the arguments of this process and prints the error, if any.
pub fn main() -> ExitCode {
    // Explicit modes are unaffected; files without one are writable by their owner only.
    umask(Mode::from_raw_mode(0o022));
    if command::completions::answer() {
        return ExitCode::SUCCESS;
    }
    let screen = Rc::new(Screen::terminal());
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut parser = Cli::command().color(color::choice(&words));
    let cli = match parser.try_get_matches_from_mut(&words).and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(answer) = command::version::answer(&error, &screen) {
                return if answer.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            match hints::hint(&error, words.iter().cloned()) {
                Some(hint) => screen.tell(&hint),
                None => {
                    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into()).collect();
                    let _ = tips::better(error, &mut parser, &words).print();
                }
            }
            // --help succeeds; everything else is a usage error (2).
            return code;
        }
    };
    match interrupt::listen().and_then(|()| command::run(&cli, &screen)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            if !text.is_empty() {
                screen.tell(&text);
            }
            ExitCode::from(exit::code(&error))
        }
    }
}

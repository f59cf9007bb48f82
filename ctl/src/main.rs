//! nixos-nspawn-ctl, also installed as nixos-nspawn: has Nix build containers, records intent below
//! /etc/nixos-nspawn, and asks systemd for the rest. Arguments go in, an exit code comes out; errors are printed once,
//! here. It keeps no state anywhere else but in the Nix profile.

mod cli;
mod config;
mod context;
mod exit;
mod interrupt;
mod lock;
mod program;
mod systemd;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use context::Context;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are no failure; all else is a usage error, 2.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "nixos-nspawn: {text}");
            }
            ExitCode::from(exit::code(&error))
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Command::Completions(arguments) = &cli.command {
        let mut script = Vec::new();
        clap_complete::generate(arguments.shell, &mut Cli::command(), "nixos-nspawn", &mut script);
        return Ok(std::io::stdout().write_all(&script)?);
    }
    let context = Context::new(&cli.global)?;
    interrupt::listen()?;
    match &cli.command {
        Command::Completions(_) => Ok(()),
        _ => anyhow::bail!("not built yet"),
    }
}

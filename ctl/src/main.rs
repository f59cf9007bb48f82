//! nixos-nspawn-ctl, also installed as nixos-nspawn: has Nix build containers, records intent below
//! /etc/nixos-nspawn, and asks systemd for the rest. Arguments go in, an exit code comes out; errors are printed once,
//! here. It keeps no state anywhere else but in the Nix profile.

mod base;
mod change;
mod cli;
mod command;
mod decision;
mod fact;
mod host;
mod nix;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::base::context::{Color, Context};
use crate::base::host::Host;
use crate::base::{exit, interrupt, output};
use crate::cli::{Cli, Command, Global, hints};
use crate::command::{
    activate, autostart, create, delete_generations, diff, enable, events, list, list_generations, pin, plan,
    remove, rollback, setup, show, status, update,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            match hints::hint(&error, std::env::args_os()) {
                Some(hint) => output::tell(&hint),
                None => {
                    let _ = error.print();
                }
            }
            // Help and version are no failure; all else is a usage error, 2.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            if !text.is_empty() {
                output::tell(&text);
            }
            ExitCode::from(exit::code(&error))
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Command::Completions(arguments) = &cli.command {
        let mut script = Vec::new();
        clap_complete::generate(arguments.shell, &mut Cli::command(), "nixos-nspawn", &mut script);
        return output::print(&String::from_utf8(script)?);
    }
    let context = context(&cli.global)?;
    interrupt::listen()?;
    match &cli.command {
        Command::Completions(_) => Ok(()),
        Command::Create(arguments) => create::run(&context, arguments),
        Command::Remove(arguments) => remove::run(&context, arguments),
        Command::List(arguments) => list::list(&context, arguments),
        Command::Show(arguments) => show::show(&context, arguments),
        Command::Enable(arguments) => enable::enable(&context, arguments),
        Command::Disable(arguments) => enable::disable(&context, arguments),
        Command::Activate(arguments) => activate::run(&context, arguments),
        Command::Autostart(arguments) => autostart::autostart(&context, arguments),
        Command::Setup(arguments) => setup::run(&context, arguments),
        Command::Update(arguments) => update::run(&context, arguments),
        Command::Plan(arguments) => plan::run(&context, arguments),
        Command::Rollback(arguments) => rollback::run(&context, arguments),
        Command::ListGenerations(arguments) => list_generations::run(&context, arguments),
        Command::DeleteGenerations(arguments) => delete_generations::run(&context, arguments),
        Command::Pin(arguments) => pin::pin(&context, arguments),
        Command::Unpin(arguments) => pin::unpin(&context, arguments),
        Command::Diff(arguments) => diff::run(&context, arguments),
        Command::Status(arguments) => status::run(&context, arguments),
    }
}

/// The setting that the command line asks for.
fn context(global: &Global) -> anyhow::Result<Context> {
    let color = match global.color {
        cli::Color::Auto => Color::Auto,
        cli::Color::Always => Color::Always,
        cli::Color::Never => Color::Never,
    };
    let host = Host::open(&global.root, global.verbose, Box::new(events::show))?;
    Ok(Context { host, color: color.wanted(), json: global.json })
}

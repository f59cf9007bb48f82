//! nixos-nspawn-ctl, also installed as nixos-nspawn: has Nix build containers, records intent below
//! /etc/nixos-nspawn, and asks systemd for the rest. Arguments go in, an exit code comes out; errors are printed once,
//! here. It keeps no state anywhere else but in the Nix profile.

mod activate;
mod autostart;
mod cli;
mod config;
mod configuration;
mod context;
mod create;
mod created;
mod delete_generations;
mod dependents;
mod diff;
mod elf;
mod enable;
mod exit;
mod flake;
mod forget;
mod gate;
mod generations;
mod host;
mod in_force;
mod inspect;
mod intent_file;
mod interrupt;
mod list;
mod list_generations;
mod lock;
mod mistakes;
mod network;
mod nix;
mod nix_files;
mod notes;
mod output;
mod peer;
mod pin;
mod plan;
mod profile;
mod program;
mod record;
mod remove;
mod rollback;
mod setup;
mod show;
mod show_text;
mod sockets;
mod source;
mod state;
mod status;
mod stop_point;
mod switch;
mod systemd;
mod take_on;
mod time;
mod update;
mod updated;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use context::Context;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            match mistakes::hint(&error, std::env::args_os()) {
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
    let context = Context::new(&cli.global)?;
    interrupt::listen()?;
    match &cli.command {
        Command::Completions(_) => Ok(()),
        Command::Create(arguments) => create::run(&context, arguments),
        Command::Remove(arguments) => remove::run(&context, arguments),
        Command::List(arguments) => list::list(&context, arguments),
        Command::Show(arguments) => show::show(&context, arguments),
        Command::Enable(arguments) => enable::enable(&context, arguments),
        Command::Disable(arguments) => enable::disable(&context, arguments),
        Command::Activate(arguments) => take_on::run(&context, arguments),
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

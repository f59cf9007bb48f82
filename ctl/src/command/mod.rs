//! The verbs, one per file: arguments to plain values, an operation, and its result as text or JSON.

mod activate;
#[cfg(feature = "schema")]
pub(crate) mod answers;
mod apply;
mod arguments;
mod audit;
mod autostart;
mod begin;
mod built_here;
mod cat;
mod check;
mod clone;
pub(crate) mod completions;
mod create;
mod delete_generations;
mod diff;
mod doctor;
mod doctor_checks;
mod doctor_text;
mod enable;
mod events;
mod export;
mod groups;
mod hold;
mod host_status;
mod import;
mod import_foreign;
mod list;
mod list_generations;
mod listed;
mod on_hosts;
mod overrides;
mod pin;
mod plan;
mod planned;
mod reachable;
mod remove;
mod rename;
mod rollback;
mod setup;
mod several;
mod show;
mod status;
mod update;
mod updated;
mod verify;
pub(crate) mod version;
mod word;

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::Result;

use crate::base::context::{Color, Context};
use crate::base::host::Host;
use crate::base::screen::Screen;
use crate::cli;
use crate::cli::{Cli, Command, Global, Imported};
use crate::host::imported::Tool;

/// Runs the command of the command line.
pub(crate) fn run(cli: &Cli, screen: &Rc<Screen>) -> Result<()> {
    if let Command::Completions(arguments) = &cli.command {
        return completions::run(screen, arguments);
    }
    let targets = on_hosts::targets(&cli.global)?;
    if !targets.is_empty() {
        return on_hosts::run(&context(&cli.global, screen, true)?, &targets, &cli.command);
    }
    if let Command::Verify(arguments) = &cli.command {
        return verify::run(&cli.global, screen, arguments);
    }
    let context = context(&cli.global, screen, only_reads(&cli.command))?;
    let run = || dispatch(&context, &cli.command).map_err(|error| several::still(&context, error));
    let done = match run() {
        // A command that we waited for was killed.
        Err(error) if several::may_try_again(&error) => run(),
        done => done,
    };
    screen.end_live();
    done
}

/// Runs the verb.
pub(crate) fn dispatch(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Completions(_) | Command::Verify(_) => Ok(()),
        Command::Create(arguments) => create::run(context, arguments),
        Command::Remove(arguments) => remove::run(context, arguments),
        Command::Rename(arguments) => rename::run(context, arguments),
        Command::Clone(arguments) => clone::run(context, arguments),
        Command::Export(arguments) => export::run(context, arguments),
        Command::Import(cli::Import { what, undo, dry_run }) => match what {
            Some(Imported::Archive(arguments)) => import::run(context, arguments),
            Some(Imported::NixosContainer(arguments)) => {
                import_foreign::run(context, Tool::NixosContainer, arguments)
            }
            Some(Imported::PythonNixosNspawn(arguments)) => {
                import_foreign::run(context, Tool::PythonNixosNspawn, arguments)
            }
            Some(Imported::Nspawn(arguments)) => import_foreign::nspawn(context, arguments),
            None => import_foreign::undo(context, undo, *dry_run),
        },
        Command::Start(arguments) => word::units(context, "start", arguments),
        Command::Stop(arguments) => word::units(context, "stop", arguments),
        Command::Restart(arguments) => word::units(context, "restart", arguments),
        Command::Shell(arguments) => word::shell(context, arguments),
        Command::Run(arguments) => word::run(context, arguments),
        Command::Logs(arguments) => word::logs(context, arguments),
        Command::Ip(arguments) => word::ip(context, arguments),
        Command::SshHostKey(arguments) => word::ssh_host_key(context, arguments),
        Command::List(arguments) => list::list(context, arguments),
        Command::Show(arguments) => show::show(context, arguments),
        Command::Cat(arguments) => cat::run(context, arguments),
        Command::Enable(arguments) => enable::enable(context, arguments),
        Command::Disable(arguments) => enable::disable(context, arguments),
        Command::Activate(arguments) => activate::run(context, arguments),
        Command::Autostart(arguments) => autostart::autostart(context, arguments),
        Command::Setup(arguments) => setup::run(context, arguments),
        Command::Update(arguments) => update::run(context, arguments),
        Command::Apply(arguments) => apply::run(context, arguments),
        Command::Plan(arguments) => plan::run(context, arguments),
        Command::Rollback(arguments) => rollback::run(context, arguments),
        Command::ListGenerations(arguments) => list_generations::run(context, arguments),
        Command::DeleteGenerations(arguments) => delete_generations::run(context, arguments),
        Command::Pin(arguments) => pin::pin(context, arguments),
        Command::Unpin(arguments) => pin::unpin(context, arguments),
        Command::Check(arguments) => check::run(context, arguments),
        Command::Hold(arguments) => hold::hold(context, arguments),
        Command::Unhold(arguments) => hold::unhold(context, arguments),
        Command::Diff(arguments) => diff::run(context, arguments),
        Command::Doctor(arguments) => doctor::run(context, arguments),
        Command::Status(arguments) => status::run(context, arguments),
        Command::Audit(arguments) => audit::run(context, arguments),
    }
}

/// Returns whether a command changes nothing, so that a mistake in the administrator's defaults is only a warning.
fn only_reads(command: &Command) -> bool {
    matches!(
        command,
        Command::Doctor(cli::Doctor { fix: false, .. })
            | Command::List(_)
            | Command::Show(_)
            | Command::Cat(_)
            | Command::Status(_)
            | Command::Plan(_)
            | Command::ListGenerations(_)
            | Command::Diff(_)
            | Command::Check(_)
            | Command::Audit(_)
            | Command::Shell(_)
            | Command::Run(_)
            | Command::Logs(_)
            | Command::Ip(_)
            | Command::SshHostKey(_)
            | Command::Completions(_)
    )
}

/// Returns the context for the global options.
fn context(global: &Global, screen: &Rc<Screen>, only_reads: bool) -> Result<Context> {
    let color = match global.color {
        cli::Color::Auto => Color::Auto,
        cli::Color::Always => Color::Always,
        cli::Color::Never => Color::Never,
    };
    let (watcher, json) = (Rc::clone(screen), global.json);
    let open = if only_reads { Host::open_to_read } else { Host::open };
    let host =
        open(&global.root, global.verbose, Box::new(move |event| events::show(&watcher, event, json)))?;
    Ok(Context {
        host,
        screen: Rc::clone(screen),
        color: color.wanted(),
        json: global.json,
        unsettled: RefCell::default(),
    })
}

#[cfg(test)]
mod tests;

//! `remove`: stops containers, forgets them and deletes their profiles; the state stays unless asked. A name that is
//! not there is reported and no failure, so that scripts can repeat the command. Each container is a piece of work of
//! its own: one that fails does not keep the others.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{Kind, Loaded};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::refuse;
use crate::base::output;
use crate::change::forget::forget;
use crate::change::profile_steps::remove_pending;
use crate::change::settle::repair;
use crate::cli::Remove;
use crate::fact::dependents;
use crate::fact::lookup::{Found, declarative, find, machine_name};
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Details, Record, Step, pending};
use crate::host::{profile_links, sockets, state_directory, systemd};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Remove) -> Result<()> {
    let names = arguments.names.iter().map(|name| machine_name(name)).collect::<Result<Vec<_>>>()?;
    if !arguments.dry_run {
        context.need_root("remove")?;
        if context.live() {
            context.need_systemd()?;
        }
    }
    let mut failures = Vec::new();
    let mut all = Vec::new();
    for name in &names {
        match one(context, arguments, name) {
            Ok(removed) if context.json => all.push(removed),
            Ok(removed) => output::print(&removed.text())?,
            Err(error) => {
                all.push(Removed { error: Some(format!("{error:#}")), ..Removed::of(name, Outcome::Failed) });
                failures.push(error);
            }
        }
    }
    if context.json {
        output::print_json(&all)?;
    }
    if !arguments.dry_run {
        repair(context);
    }
    // One failure is the command's; of several each is told, and the last decides the exit code.
    let last = failures.pop();
    for error in failures {
        output::tell(&format!("{error:#}"));
    }
    last.map_or(Ok(()), Err)
}

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Removed,
    WouldRemove,
    /// There is none.
    Absent,
    Failed,
}

/// One container's result, as scripts see it.
#[derive(Debug, Serialize)]
struct Removed {
    name: MachineName,
    result: Outcome,
    /// Whether it ran, and so is stopped.
    stopped: bool,
    /// Intent, profile folder with all generations, state.
    deleted: Vec<PathBuf>,
    /// The state that stays.
    kept: Option<PathBuf>,
    /// Containers that require it.
    dependents: Vec<MachineName>,
    error: Option<String>,
    /// Whether a killed command had left it half done.
    #[serde(skip)]
    half_done: bool,
    /// What there is of a container that is none, for people.
    #[serde(skip)]
    left: Vec<String>,
}

impl Removed {
    fn of(name: &MachineName, result: Outcome) -> Self {
        Self {
            name: name.clone(),
            result,
            stopped: false,
            deleted: Vec::new(),
            kept: None,
            dependents: Vec::new(),
            error: None,
            half_done: false,
            left: Vec::new(),
        }
    }

    /// For people, lines with their ends.
    fn text(&self) -> String {
        let Self { name, result, stopped, deleted, kept, dependents, error: _, half_done, left } = self;
        let kept = kept.as_ref().map(|state| state.display().to_string());
        match (result, kept) {
            (Outcome::Absent, _) if left.is_empty() => {
                format!("there is no container '{name}', nothing to do\n")
            }
            (Outcome::Absent, _) => format!("there is no container '{name}'; {}\n", left.join("; ")),
            (Outcome::WouldRemove, kept) => {
                let mut lines = Vec::new();
                if *stopped {
                    lines.push(format!("would stop container '{name}'"));
                }
                for (number, path) in deleted.iter().enumerate() {
                    let more = if number == 1 { " with all generations" } else { "" };
                    lines.push(format!("would delete {}{more}", path.display()));
                }
                lines.extend(kept.map(|state| format!("would keep {state}")));
                lines.extend(dependents.iter().map(|other| {
                    format!("container '{other}' requires it, would stop with it and not start any more")
                }));
                lines.join("\n") + "\n"
            }
            _ if *half_done => {
                format!("container '{name}' was left half done by a killed command and is removed\n")
            }
            (_, Some(state)) => format!("container '{name}' is removed; its state stays in {state}\n"),
            (_, None) => format!("container '{name}' is removed\n"),
        }
    }
}

fn one(context: &Context, arguments: &Remove, name: &MachineName) -> Result<Removed> {
    if arguments.dry_run {
        return dry_run(context, arguments, name);
    }
    let _lock = Lock::container(context, name)?;
    // A killed create or remove: whatever it was, now it goes.
    if let Some(mut record) = pending(context).into_iter().find(|record| record.name == *name) {
        if record.step == Step::Updating {
            // Whatever it was about, the container goes as a whole.
            remove_pending(context, &record.details.profile_directory);
            record.finish(context)?;
        } else {
            record.details.delete_state |= arguments.delete_state;
            forget(context, &record)?;
            let deleted = vec![intent_path(context, name), record.details.profile_directory.clone()];
            return Ok(Removed { half_done: true, deleted, ..Removed::of(name, Outcome::Removed) });
        }
    }
    let loaded = context.load();
    let Some(found) = found(context, find(&loaded, name), name)? else {
        return Ok(nothing(context, arguments, name));
    };
    let shadowed = found.kind() == Kind::Declarative;
    if shadowed && arguments.delete_state {
        return refuse(format!(
            "{}: the state belongs to the declarative container '{name}', nothing was changed; leave out --delete-state",
            state_directory::directory(context, name).display()
        ));
    }
    if arguments.delete_state {
        state_directory::check(context, name)?;
    }
    let removed = removal(context, arguments, name, &found, &loaded)?;
    // While nothing is recorded as begun, a container that cannot be stopped stays as it is.
    if !shadowed && context.live() {
        stop(context, &found, name)?;
    }
    let details = Details {
        profile_directory: profile_directory(context, &found, name),
        delete_state: arguments.delete_state,
        ..Details::default()
    };
    let record = Record::begin(context, name, Step::Removing, details)?;
    forget(context, &record)?;
    for other in &removed.dependents {
        output::tell(&format!(
            "container '{other}' requires container '{name}' and cannot start without it; take it out of its options"
        ));
    }
    Ok(removed)
}

/// What a removal is about, before anything is done.
fn removal(
    context: &Context,
    arguments: &Remove,
    name: &MachineName,
    found: &Found,
    loaded: &Loaded,
) -> Result<Removed> {
    let result = if arguments.dry_run { Outcome::WouldRemove } else { Outcome::Removed };
    let state = state_directory::directory(context, name);
    let mut removed = Removed::of(name, result);
    // A declarative container of that name goes on.
    let ours = found.kind() == Kind::Imperative;
    removed.stopped = ours && context.live() && !systemd::state(context, name)?.stopped();
    removed.deleted = vec![intent_path(context, name), profile_directory(context, found, name)];
    if arguments.delete_state {
        removed.deleted.push(state);
    } else {
        removed.kept = Some(state).filter(|_| state_directory::exists(context, name));
    }
    removed.dependents = dependents::requiring(loaded, name);
    Ok(removed)
}

/// Stops the container, and keeps connections from starting it again meanwhile.
fn stop(context: &Context, found: &Found, name: &MachineName) -> Result<()> {
    let stopped = sockets::close(context, name).and_then(|()| {
        if systemd::state(context, name)?.stopped() { Ok(()) } else { systemd::stop(context, name) }
    });
    stopped.map_err(|error| {
        if let Found::Good(stored) = found {
            // It goes on as it was. The first error is the one that matters.
            let _ = sockets::align(context, name, None, &stored.intent);
        }
        error.context(format!("container '{name}' cannot be stopped, nothing was removed"))
    })
}

/// The container, if it is one that this program may remove.
fn found<'a>(context: &Context, found: Option<Found<'a>>, name: &MachineName) -> Result<Option<Found<'a>>> {
    match found {
        Some(found) if found.kind() == Kind::Declarative => {
            // An imperative file of the same name is hidden by it, and is what the user means.
            if intent_path(context, name).symlink_metadata().is_ok() {
                Ok(Some(found))
            } else {
                refuse(declarative(name))
            }
        }
        None => {
            let path = context.path(format!("/etc/systemd/nspawn/{name}.nspawn"));
            if path.symlink_metadata().is_ok() {
                return refuse(format!(
                    "{}: '{name}' is a container that nixos-nspawn does not manage, nothing was changed",
                    path.display()
                ));
            }
            Ok(None)
        }
        found => Ok(found),
    }
}

/// There is no such container: what of it is left all the same, with the command that ends it. An intent may have been
/// deleted by hand, and what has no record may be somebody else's.
fn nothing(context: &Context, arguments: &Remove, name: &MachineName) -> Removed {
    let mut left = Vec::new();
    if context.live() && systemd::state(context, name).is_ok_and(|state| !state.stopped()) {
        let unit = unit_name(name);
        left.push(format!("{unit} runs all the same, 'systemctl stop {unit}' ends it"));
    }
    let profile = profile_links::profile_directory(context, name);
    if context.path(&profile).symlink_metadata().is_ok() {
        let profile = profile.display();
        left.push(format!(
            "{profile} is not known to be one of ours and stays, 'rm -r {profile}' deletes it"
        ));
    }
    let stays = arguments.delete_state && state_directory::exists(context, name);
    let kept = stays.then(|| state_directory::directory(context, name));
    if let Some(state) = &kept {
        left.push(format!(
            "{} is not known to be one of ours and stays, 'machinectl remove {name}' deletes it",
            state.display()
        ));
    }
    Removed { kept, left, ..Removed::of(name, Outcome::Absent) }
}

/// Where the profile of a container is: as recorded, else where a create would have made it.
fn profile_directory(context: &Context, found: &Found, name: &MachineName) -> std::path::PathBuf {
    let recorded = match found {
        Found::Good(stored) => stored.intent.profile.as_ref(),
        Found::Broken(_) => None,
    };
    let default = profile_links::profile_directory(context, name);
    // Only a folder that is named after the container is its own; an intent by hand may name any profile.
    recorded
        .and_then(|profile| std::path::Path::new(profile.as_str()).parent())
        .filter(|folder| folder.file_name() == default.file_name())
        .map_or(default, std::path::Path::to_owned)
}

fn dry_run(context: &Context, arguments: &Remove, name: &MachineName) -> Result<Removed> {
    let loaded = context.load();
    let Some(found) = found(context, find(&loaded, name), name)? else {
        return Ok(nothing(context, arguments, name));
    };
    if arguments.delete_state {
        state_directory::check(context, name)?;
    }
    removal(context, arguments, name, &found, &loaded)
}

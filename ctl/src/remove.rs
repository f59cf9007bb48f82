//! `remove`: stops containers, forgets them and deletes their profiles; the state stays unless asked. A name that is
//! not there is reported and no failure, so that scripts can repeat the command. Each container is a piece of work of
//! its own: one that fails does not keep the others.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Kind;

use crate::cli::Remove;
use crate::context::{Context, Found, declarative, find, machine_name};
use crate::exit::refuse;
use crate::forget::{forget, intent_path, repair};
use crate::lock::Lock;
use crate::nix;
use crate::record::{Details, Record, Step, pending};
use crate::switch::remove_pending;
use crate::{dependents, output, sockets, state, systemd};

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
    for name in &names {
        if let Err(error) = one(context, arguments, name) {
            failures.push(error);
        }
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

fn one(context: &Context, arguments: &Remove, name: &MachineName) -> Result<()> {
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
            return say(&format!("container '{name}' was left half done by a killed command and is removed"));
        }
    }
    let loaded = context.load();
    let Some(found) = found(context, find(&loaded, name), name)? else {
        return say(&nothing(context, arguments, name));
    };
    let shadowed = found.kind() == Kind::Declarative;
    if shadowed && arguments.delete_state {
        return refuse(format!(
            "{}: the state belongs to the declarative container '{name}', nothing was changed; leave out --delete-state",
            state::directory(context, name).display()
        ));
    }
    if arguments.delete_state {
        state::check(context, name)?;
    }
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
    let kept = if !arguments.delete_state && state::exists(context, name) {
        format!("; its state stays in {}", state::directory(context, name).display())
    } else {
        String::new()
    };
    for other in dependents::requiring(&loaded, name) {
        output::tell(&format!(
            "container '{other}' requires container '{name}' and cannot start without it; take it out of its options"
        ));
    }
    say(&format!("container '{name}' is removed{kept}"))
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
fn nothing(context: &Context, arguments: &Remove, name: &MachineName) -> String {
    let mut left = Vec::new();
    if context.live() && systemd::state(context, name).is_ok_and(|state| !state.stopped()) {
        let unit = unit_name(name);
        left.push(format!("{unit} runs all the same, 'systemctl stop {unit}' ends it"));
    }
    let profile = nix::profile_directory(context, name);
    if context.path(&profile).symlink_metadata().is_ok() {
        let profile = profile.display();
        left.push(format!(
            "{profile} is not known to be one of ours and stays, 'rm -r {profile}' deletes it"
        ));
    }
    if arguments.delete_state && state::exists(context, name) {
        left.push(format!(
            "{} is not known to be one of ours and stays, 'machinectl remove {name}' deletes it",
            state::directory(context, name).display()
        ));
    }
    let none = format!("there is no container '{name}'");
    if left.is_empty() { format!("{none}, nothing to do") } else { format!("{none}; {}", left.join("; ")) }
}

/// Where the profile of a container is: as recorded, else where a create would have made it.
fn profile_directory(context: &Context, found: &Found, name: &MachineName) -> std::path::PathBuf {
    let recorded = match found {
        Found::Good(stored) => stored.intent.profile.as_ref(),
        Found::Broken(_) => None,
    };
    let default = nix::profile_directory(context, name);
    // Only a folder that is named after the container is its own; an intent by hand may name any profile.
    recorded
        .and_then(|profile| std::path::Path::new(profile.as_str()).parent())
        .filter(|folder| folder.file_name() == default.file_name())
        .map_or(default, std::path::Path::to_owned)
}

fn dry_run(context: &Context, arguments: &Remove, name: &MachineName) -> Result<()> {
    let loaded = context.load();
    let Some(found) = found(context, find(&loaded, name), name)? else {
        return say(&nothing(context, arguments, name));
    };
    let mut lines = Vec::new();
    if context.live() && !systemd::state(context, name)?.stopped() {
        lines.push(format!("would stop container '{name}'"));
    }
    lines.push(format!("would delete {}", intent_path(context, name).display()));
    lines.push(format!(
        "would delete {} with all generations",
        profile_directory(context, &found, name).display()
    ));
    if arguments.delete_state {
        state::check(context, name)?;
        lines.push(format!("would delete {}", state::directory(context, name).display()));
    } else if state::exists(context, name) {
        lines.push(format!("would keep {}", state::directory(context, name).display()));
    }
    lines.extend(
        dependents::requiring(&loaded, name).iter().map(|other| {
            format!("container '{other}' requires it, would stop with it and not start any more")
        }),
    );
    output::print(&(lines.join("\n") + "\n"))
}

fn say(line: &str) -> Result<()> {
    output::print(&format!("{line}\n"))
}

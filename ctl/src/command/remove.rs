//! `remove`: stops containers and deletes their intents and profiles; the state is kept unless asked. An unknown name
//! is reported but is not an error, so that scripts can repeat the command. A failure does not affect the other
//! containers.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{Kind, Loaded};
use serde::Serialize;

use crate::base::context::Context;
use crate::change::removal::{Left, Removal, RemoveOptions, Removed};
use crate::change::remove::remove_all;
use crate::cli::Remove;
use crate::command::begin::begin_except;
use crate::command::groups::Groups;
use crate::command::several::{machine_names, told};
use crate::decision::activation_order::activation_order;
use crate::fact::lookup::all_seen;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Remove) -> Result<()> {
    let Remove { all, delete_state, dry_run, .. } = *arguments;
    let names = if all { in_order(&context.load())? } else { machine_names(&arguments.names)? };
    if !dry_run {
        begin_except(context, "remove", &names)?;
        if context.live() {
            context.need_systemd()?;
        }
    }
    if names.is_empty() {
        context.screen.tell("there are no imperative containers, nothing to remove");
    }
    let mut failures = Vec::new();
    let mut answers = Vec::new();
    let mut groups = Groups::new(&names, dry_run);
    for name in &names {
        let options = RemoveOptions { delete_state, dry_run };
        match groups.result(name, |group| remove_all(context, group, options)) {
            Ok(removed) if context.json => answers.push(RemoveAnswer::of(name, &removed, dry_run)),
            Ok(removed) => context.screen.print(&text(name, &removed, dry_run))?,
            Err(error) => {
                let failed = RemoveAnswer::new(name, RemoveResult::Failed);
                answers.push(RemoveAnswer { error: Some(format!("{error:#}")), ..failed });
                failures.push(error);
            }
        }
    }
    if context.json {
        context.screen.print_json(&answers)?;
    }
    told(context, failures)
}

/// Returns all imperative containers, each before those that it requires, so that nothing is left that cannot start.
fn in_order(loaded: &Loaded) -> Result<Vec<MachineName>> {
    all_seen(loaded)?;
    let ours = loaded.intents.iter().filter(|stored| stored.kind == Kind::Imperative);
    let mut names = activation_order(loaded, ours.map(|stored| stored.name.clone()).collect());
    names.reverse();
    // Nothing is known of those with a broken intent.
    let broken = loaded.errors.iter().filter(|error| error.kind == Kind::Imperative);
    names.extend(broken.filter_map(|error| error.name.clone()));
    Ok(names)
}

/// The result for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum RemoveResult {
    Removed,
    WouldRemove,
    /// There is no such container.
    Absent,
    Failed,
}

/// One container's result, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct RemoveAnswer {
    name: MachineName,
    result: RemoveResult,
    /// Whether it was running, and is stopped.
    stopped: bool,
    /// The intent, the profile directory with all generations, and the state.
    deleted: Vec<PathBuf>,
    /// The state that is kept.
    kept: Option<PathBuf>,
    /// The snapshots of its state that are kept.
    snapshots: Option<PathBuf>,
    /// Containers that require it.
    dependents: Vec<MachineName>,
    error: Option<String>,
}

impl RemoveAnswer {
    fn new(name: &MachineName, result: RemoveResult) -> Self {
        Self {
            name: name.clone(),
            result,
            stopped: false,
            deleted: Vec::new(),
            kept: None,
            snapshots: None,
            dependents: Vec::new(),
            error: None,
        }
    }

    fn of(name: &MachineName, removed: &Removed, dry_run: bool) -> Self {
        match removed.clone() {
            Removed::Container(Removal { stopped, deleted, kept, snapshots, dependents, .. }) => {
                let result = if dry_run { RemoveResult::WouldRemove } else { RemoveResult::Removed };
                Self { stopped, deleted, kept, snapshots, dependents, ..Self::new(name, result) }
            }
            Removed::HalfDone(deleted) => Self { deleted, ..Self::new(name, RemoveResult::Removed) },
            Removed::Absent(left) => Self { kept: left.state, ..Self::new(name, RemoveResult::Absent) },
        }
    }
}

/// Returns the text for people, with line endings.
fn text(name: &MachineName, removed: &Removed, dry_run: bool) -> String {
    match removed {
        Removed::Absent(left) => match left_text(name, left) {
            left if left.is_empty() => format!("there is no container '{name}', nothing to do\n"),
            left => format!("there is no container '{name}'; {}\n", left.join("; ")),
        },
        Removed::HalfDone(_) => {
            format!("container '{name}' was left incomplete by a killed command and is removed\n")
        }
        Removed::Container(removal) if dry_run => plan_text(name, removal),
        Removed::Container(Removal { kept, snapshots, .. }) if kept.is_some() || snapshots.is_some() => {
            let places: Vec<String> =
                kept.iter().chain(snapshots).map(|path| path.display().to_string()).collect();
            format!("container '{name}' is removed; its state stays in {}\n", places.join(" and "))
        }
        Removed::Container(_) => format!("container '{name}' is removed\n"),
    }
}

/// Describes what would be done.
fn plan_text(name: &MachineName, removal: &Removal) -> String {
    let Removal { stopped, deleted, profile, kept, snapshots, dependents } = removal;
    let mut lines = Vec::new();
    if *stopped {
        lines.push(format!("would stop container '{name}'"));
    }
    for path in deleted {
        let more = if Some(path) == profile.as_ref() { " with all generations" } else { "" };
        lines.push(format!("would delete {}{more}", path.display()));
    }
    lines.extend(kept.iter().chain(snapshots).map(|state| format!("would keep {}", state.display())));
    lines.extend(dependents.iter().map(|other| {
        format!("container '{other}' requires it, would stop with it and could no longer start")
    }));
    lines.join("\n") + "\n"
}

/// Describes what is left of a container that is not recorded, each with the command that removes it.
fn left_text(name: &MachineName, left: &Left) -> Vec<String> {
    let mut lines = Vec::new();
    if left.runs {
        let unit = unit_name(name);
        lines.push(format!("{unit} is running, 'systemctl stop {unit}' stops it"));
    }
    if let Some(profile) = &left.profile {
        let profile = profile.display();
        lines.push(format!(
            "{profile} may not belong to nixos-nspawn and is kept, 'rm -r {profile}' deletes it"
        ));
    }
    if let Some(state) = &left.state {
        lines.push(format!(
            "{} may not belong to nixos-nspawn and is kept, 'machinectl remove {name}' deletes it",
            state.display()
        ));
    }
    lines
}

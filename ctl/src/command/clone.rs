//! `clone`: copies a container with its state.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::clone::{CloneOptions, Cloned, CopyWay, clone};
use crate::cli::Clone;
use crate::command::begin::begin;
use crate::command::overrides::changes;
use crate::fact::lookup::machine_name;

/// The result, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct CloneAnswer {
    /// The name of the copy.
    name: MachineName,
    /// The container that was copied.
    of: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// How the state is copied.
    state_by: StateBy,
    /// Where the state of the copy is.
    state_directory: PathBuf,
    /// The profile of the copy in the store.
    profile: StorePath,
    /// What the administrator should know.
    notes: Vec<String>,
}

/// How state is copied.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum StateBy {
    /// There is no state yet.
    Nothing,
    /// A btrfs snapshot.
    Snapshot,
    /// A copy of each file.
    Files,
}

impl StateBy {
    pub(super) fn of(way: CopyWay) -> Self {
        match way {
            CopyWay::Nothing => Self::Nothing,
            CopyWay::Snapshot => Self::Snapshot,
            CopyWay::Files => Self::Files,
        }
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Clone) -> Result<()> {
    let (of, name) = (machine_name(&arguments.name)?, machine_name(&arguments.new)?);
    let dry_run = arguments.dry_run;
    context.need_systemd()?;
    if !dry_run {
        begin(context, "clone")?;
    }
    let changes = changes(&arguments.overrides, &[])?;
    let options =
        CloneOptions { profile: arguments.profile.as_deref(), overrides: changes.as_ref(), dry_run };
    let Cloned { way, state: (_, state_directory), profile, notes } = clone(context, &of, &name, options)?;
    let state_by = StateBy::of(way);
    context.answer(&CloneAnswer { name, of, dry_run, state_by, state_directory, profile, notes }, text)
}

fn text(answer: &CloneAnswer) -> String {
    let CloneAnswer { name, of, dry_run, state_by, state_directory, profile, notes } = answer;
    let mut lines = Vec::new();
    if *dry_run {
        let how = match state_by {
            StateBy::Nothing => "without state, since there is none yet".to_owned(),
            StateBy::Snapshot => format!("with a snapshot of its state in {}", state_directory.display()),
            StateBy::Files => format!("with a copy of its state in {}", state_directory.display()),
        };
        lines.push(format!("would record container '{name}' with {profile}, {how}"));
    } else {
        lines.push(format!("container '{name}' is a copy of '{of}'; 'nixos-nspawn start {name}' starts it"));
    }
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n") + "\n"
}

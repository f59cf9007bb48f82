//! `rename`: gives a container another name.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::rename::{RenameOptions, Renamed, rename};
use crate::cli::Rename;
use crate::command::begin::begin;
use crate::fact::lookup::machine_name;

/// The result, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct RenameAnswer {
    /// The new name.
    name: MachineName,
    old_name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// Whether it was restarted.
    restarted: bool,
    /// What was renamed.
    moved: Vec<Moved>,
    /// What else has or uses the old name.
    notes: Vec<String>,
}

/// A path that was renamed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Moved {
    from: PathBuf,
    to: PathBuf,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Rename) -> Result<()> {
    let (old_name, name) = (machine_name(&arguments.name)?, machine_name(&arguments.new)?);
    let Rename { restart, dry_run, .. } = *arguments;
    if !dry_run {
        begin(context, "rename")?;
        if context.live() {
            context.need_systemd()?;
        }
    }
    let renamed = rename(context, &old_name, &name, RenameOptions { restart, dry_run })?;
    let Renamed { moved, restarted, notes } = renamed;
    let moved = moved.into_iter().map(|(from, to)| Moved { from, to }).collect();
    let answer = RenameAnswer { name, old_name, dry_run, restarted, moved, notes };
    context.answer(&answer, text)
}

fn text(answer: &RenameAnswer) -> String {
    let RenameAnswer { name, old_name, dry_run, restarted, moved, notes } = answer;
    let mut lines = Vec::new();
    if *dry_run {
        if *restarted {
            lines.push(format!("would restart container '{old_name}'"));
        }
        let paths = moved.iter().map(|one| (one.from.display(), one.to.display()));
        lines.extend(paths.map(|(from, to)| format!("would rename {from} to {to}")));
    } else {
        let how = if *restarted { " and restarted" } else { "" };
        lines.push(format!("container '{old_name}' is renamed to '{name}'{how}"));
    }
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n") + "\n"
}

//! `export`: writes a container into an archive.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::clone::CopyWay;
use crate::change::export::{Exported, export};
use crate::cli::Export;
use crate::command::begin::begin;
use crate::command::clone::StateBy;
use crate::fact::lookup::machine_name;

/// The result, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ExportAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// The archive.
    file: PathBuf,
    /// Its size in bytes, once it is written.
    size: Option<u64>,
    /// The number of store paths in it.
    store_paths: usize,
    /// How the state is read.
    state_by: StateBy,
    /// The number of sockets and device nodes in the state, which are left out.
    left_out: u64,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Export) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let dry_run = arguments.dry_run;
    context.need_systemd()?;
    if !dry_run {
        begin(context, "export")?;
    }
    let file = arguments.output.clone().unwrap_or_else(|| format!("{name}.tar").into());
    let Exported { file, size, paths, way, left_out } = export(context, &name, &file, dry_run)?;
    let answer =
        ExportAnswer { name, dry_run, file, size, store_paths: paths, state_by: StateBy::of(way), left_out };
    context.answer(&answer, |answer| text(answer, way))
}

fn text(answer: &ExportAnswer, way: CopyWay) -> String {
    let ExportAnswer { name, dry_run, file, size, store_paths, left_out, .. } = answer;
    let file = file.display();
    if *dry_run {
        let state = match way {
            CopyWay::Nothing => "no state, since there is none yet",
            CopyWay::Snapshot => "a snapshot of its state",
            CopyWay::Files => "its state",
        };
        return format!("would write container '{name}' to {file}: {store_paths} store paths and {state}\n");
    }
    let mut text =
        format!("container '{name}' is written to {file}, {} MiB\n", size.unwrap_or(0).div_ceil(1 << 20));
    if *left_out > 0 {
        text += &format!("note: {left_out} sockets and device nodes in its state are left out\n");
    }
    text
}

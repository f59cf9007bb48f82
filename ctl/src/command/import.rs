//! `import archive`: records a container from an archive.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::import::{ImportOptions, Imported, import};
use crate::cli::ImportArchive;
use crate::command::begin::begin;
use crate::command::overrides::changes;
use crate::fact::lookup::machine_name;

/// The result, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ImportAnswer {
    name: MachineName,
    /// Its name in the archive.
    archived_name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    /// Where its state is, if the archive has some.
    state_directory: Option<PathBuf>,
    /// The size of the files in its state, in bytes.
    state_size: u64,
    /// The size of its closure, in bytes.
    closure_size: u64,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &ImportArchive) -> Result<()> {
    let ImportArchive { file, name, overrides, dry_run } = arguments;
    let changes = changes(overrides, &[])?;
    let name = name.as_deref().map(machine_name).transpose()?;
    context.need_systemd()?;
    // Nobody else can read the state, and what is checked.
    if *dry_run {
        context.need_root("import")?;
    } else {
        begin(context, "import")?;
    }
    let options = ImportOptions { name: name.as_ref(), overrides: changes.as_ref(), dry_run: *dry_run };
    let Imported { name, archived, state, sizes } = import(context, file, options)?;
    let answer = ImportAnswer {
        name,
        archived_name: archived,
        dry_run: *dry_run,
        state_directory: state,
        state_size: sizes.state,
        closure_size: sizes.closure,
    };
    context.answer(&answer, text)
}

fn text(answer: &ImportAnswer) -> String {
    let ImportAnswer { name, archived_name, dry_run, state_directory, state_size, closure_size } = answer;
    let of = if name == archived_name { String::new() } else { format!(", which was '{archived_name}'") };
    if !dry_run {
        return format!("container '{name}'{of} is imported; 'nixos-nspawn start {name}' starts it\n");
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let state = match state_directory {
        Some(state) => format!("{} MiB of state in {}", mebibytes(*state_size), state.display()),
        None => "no state".to_owned(),
    };
    format!(
        "would record container '{name}'{of}: {} MiB of store paths and {state}\n",
        mebibytes(*closure_size)
    )
}

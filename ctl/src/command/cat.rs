//! `cat NAME…`: the files and links that the generator writes for containers, as `systemctl cat` shows those of units.

use std::collections::BTreeSet;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_some;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::output::{Tone, painted};
use crate::cli::Shown;
use crate::command::several::{each, machine_names};
use crate::fact::generated_file::GeneratedFile;
use crate::fact::lookup::{all_seen, no_such};

/// The generated files, as scripts see them.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct CatAnswer<'a> {
    name: MachineName,
    files: Vec<GeneratedFile<'a>>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Shown) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let asked: BTreeSet<&MachineName> = names.iter().collect();
    let loaded = context.load();
    let plan = plan_some(&loaded, &|name| asked.contains(name));
    let known: BTreeSet<&MachineName> = plan.containers.iter().map(|planned| &planned.name).collect();
    let by_container = plan.files_by_container();
    let mut gap = "";
    each(
        context,
        &names,
        |name| name,
        |name| {
            if !known.contains(name) {
                all_seen(&loaded)?;
                return Err(no_such(name));
            }
            let own = by_container.get(name.as_str()).into_iter().flatten();
            let files: Vec<GeneratedFile> = own.map(|(path, entry)| GeneratedFile::of(path, entry)).collect();
            let text = format!("{gap}{}", text(&files, context.color));
            gap = "\n";
            Ok((CatAnswer { name: name.clone(), files }, text))
        },
    )
}

/// Returns files with their paths, separated by empty lines.
fn text(files: &[GeneratedFile], color: bool) -> String {
    let one = |file: &GeneratedFile| {
        let target = file.link_to.map(|target| format!(" -> {target}")).unwrap_or_default();
        let head = painted(&format!("# {}{target}", file.path), Tone::Strong, color);
        format!("{head}\n{}", file.text.unwrap_or_default())
    };
    files.iter().map(one).collect::<Vec<_>>().join("\n")
}

//! `delete-generations`: as nix-env does it, but never the current, the running or a pinned generation. Numbers or a
//! pattern go in; named protected ones refuse the whole, a pattern passes over them and says so. Links go, nothing of
//! the store: that is the garbage collector's.

use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::refuse;
use crate::change::settle::{lock_settled, repair};
use crate::cli::DeleteGenerations;
use crate::decision::which_generations::{Which, parse, select};
use crate::fact::generations::{Generation, generations};
use crate::fact::lookup::{imperative, machine_name, numbered};
use crate::host::profile_links;
use crate::host::profile_links::profile_link;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &DeleteGenerations) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let which = parse(&arguments.generations)?;
    context.need_live("delete-generations")?;
    if arguments.dry_run {
        return delete(context, &name, &which, true);
    }
    context.need_root("delete-generations")?;
    repair(context);
    let _lock = lock_settled(context, &name)?;
    delete(context, &name, &which, false)
}

fn delete(context: &Context, name: &MachineName, which: &Which, dry_run: bool) -> Result<()> {
    let loaded = context.load();
    let intent = imperative(&loaded, name)?;
    let link = profile_link(context, name, intent);
    // A profile named by hand may be anybody's.
    if link.parent().and_then(|folder| folder.file_name()) != Some(name.as_str().as_ref()) {
        return refuse(format!(
            "{}: is not in a folder '{name}', so it may not be the container's alone, nothing was changed; use \
             nix-env --profile {} --delete-generations",
            link.display(),
            link.display()
        ));
    }
    let all = generations(context, name, intent);
    let stands_at = profile_links::generation(&context.path(&link)).ok();
    let chosen = match which {
        Which::Numbers(numbers) => {
            for number in numbers {
                let one = numbered(&all, name, *number)?;
                if let Some(why) = protection(one, stands_at) {
                    return refuse(format!(
                        "generation {number} of container '{name}' is {why}, nothing was deleted{}",
                        remedy(one, name)
                    ));
                }
            }
            numbers.clone()
        }
        _ => {
            // Those that only a pin keeps are not in the profile.
            let links: Vec<(u64, SystemTime)> =
                all.iter().filter_map(|one| Some((one.number, one.made?))).collect();
            let Some(current) = intent.generation.or(stands_at) else {
                return refuse(format!(
                    "{}: stands at no generation, nothing was deleted; name the generations by number",
                    link.display()
                ));
            };
            select(which, &links, current, SystemTime::now())
        }
    };
    let mut deleted = Deleted { name, dry_run, deleted: Vec::new(), kept: Vec::new() };
    for one in all.iter().filter(|one| chosen.contains(&one.number)) {
        match protection(one, stands_at) {
            Some(reason) => deleted.kept.push(Kept { generation: one.number, reason }),
            None => deleted.deleted.push(one.number),
        }
    }
    if !dry_run && !deleted.deleted.is_empty() {
        Nix::find(context)?.delete_generations(&link, &deleted.deleted)?;
    }
    context.answer(&deleted, Deleted::text)
}

/// What was or would be deleted, as scripts see it.
#[derive(Debug, Serialize)]
struct Deleted<'a> {
    name: &'a MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    deleted: Vec<u64>,
    /// What a pattern covers and is protected.
    kept: Vec<Kept>,
}

/// A protected generation.
#[derive(Debug, Serialize)]
struct Kept {
    generation: u64,
    reason: &'static str,
}

impl Deleted<'_> {
    fn text(&self) -> String {
        let Self { name, dry_run, deleted, kept } = self;
        let kept = kept
            .iter()
            .map(|Kept { generation, reason }| format!("generation {generation} is {reason}, it is kept"));
        let done = if *dry_run { "would delete" } else { "deleted" };
        let mut lines: Vec<String> = kept.collect();
        lines
            .extend(deleted.iter().map(|number| format!("{done} generation {number} of container '{name}'")));
        if deleted.is_empty() {
            lines.push(format!("container '{name}' has no generation to delete"));
        }
        lines.join("\n") + "\n"
    }
}

/// Why a generation must stay.
fn protection(one: &Generation, stands_at: Option<u64>) -> Option<&'static str> {
    match one {
        Generation { current: true, .. } => Some("current"),
        Generation { running: true, .. } => Some("running"),
        Generation { pinned: true, .. } => Some("pinned"),
        // Profile and intent may differ for a moment; nix-env would refuse this one.
        Generation { number, .. } if stands_at == Some(*number) => Some("what the profile stands at"),
        _ => None,
    }
}

fn remedy(one: &Generation, name: &MachineName) -> String {
    match one {
        Generation { current: true, .. } => "; 'nixos-nspawn rollback' makes another one current".to_owned(),
        Generation { running: true, .. } => format!("; restart systemd-nspawn@{name} first"),
        Generation { pinned: true, number, .. } => {
            format!("; 'nixos-nspawn unpin {name} {number}' first")
        }
        _ => String::new(),
    }
}

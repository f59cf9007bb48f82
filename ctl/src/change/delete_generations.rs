//! Deletes generations as nix-env does, but never the current, the running or a pinned one. If a protected generation
//! is named, nothing is deleted; a pattern skips protected ones. Only links are deleted, store paths are left to the
//! garbage collector.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::{refuse, unchanged};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::change::{settle, snapshot};
use crate::decision::which_generations::{Which, select};
use crate::fact::generations::{Generation, generations};
use crate::fact::lookup::{imperative, numbered};
use crate::host::profile_links;
use crate::host::profile_links::profile_link;
use crate::nix::tool::Nix;

/// What was or would be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// The deleted generations.
    pub(crate) deleted: Vec<u64>,
    /// Protected generations that the pattern matched.
    pub(crate) kept: Vec<(u64, Protection)>,
}

/// Why a generation is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The intent records it.
    Current,
    /// The running container has its system.
    Running,
    /// It is pinned.
    Pinned,
    /// It is the profile's current one.
    InProfile,
}

impl Protection {
    /// Returns the keyword for people and scripts.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Running => "running",
            Self::Pinned => "pinned",
            Self::InProfile => "the profile's current one",
        }
    }
}

/// Deletes generations of a container.
pub(crate) fn delete(host: &Host, name: &MachineName, which: &Which) -> Result<Deleted> {
    let _lock = settle::lock(host, name)?;
    let (link, chosen) = choose(host, name, which)?;
    if !chosen.deleted.is_empty() {
        Nix::find(host)?.delete_generations(&link, &chosen.deleted)?;
    }
    failpoint("generations-deleted");
    let loaded = host.load_one(name);
    snapshot::prune(host, name, imperative(&loaded, name)?).context(
        "the generations are deleted, but not all of their snapshots; the next delete-generations tries again",
    )?;
    Ok(chosen)
}

/// Returns what [`delete`] would delete.
pub(crate) fn plan(host: &Host, name: &MachineName, which: &Which) -> Result<Deleted> {
    choose(host, name, which).map(|(_, chosen)| chosen)
}

/// Returns the profile, and the generations to delete.
fn choose(host: &Host, name: &MachineName, which: &Which) -> Result<(PathBuf, Deleted)> {
    let loaded = host.load_one(name);
    let intent = imperative(&loaded, name)?;
    let link = profile_link(host, name, intent);
    // A profile in a hand-written intent may belong to anybody.
    if link.parent().and_then(|folder| folder.file_name()) != Some(name.as_str().as_ref()) {
        return unchanged(
            format!(
                "{}: is not in a directory named '{name}', so it may not belong to the container alone",
                link.display()
            ),
            format!("use nix-env --profile {} --delete-generations", link.display()),
        );
    }
    let all = generations(host, name, intent)?;
    let stands_at = profile_links::generation(&host.path(&link)).ok();
    let chosen = match which {
        Which::Numbers(numbers) => {
            for number in numbers {
                let one = numbered(&all, name, *number)?;
                if let Some(protection) = protection(one, stands_at) {
                    return refuse(format!(
                        "generation {number} of container '{name}' is {}, nothing was deleted{}",
                        protection.word(),
                        remedy(protection, name, *number)
                    ));
                }
            }
            numbers.clone()
        }
        _ => {
            // Pinned generations without a link are no longer in the profile.
            let links: Vec<(u64, SystemTime)> =
                all.iter().filter_map(|one| Some((one.number, one.made?))).collect();
            let Some(current) = intent.generation.or(stands_at) else {
                return refuse(format!(
                    "{}: has no current generation, nothing was deleted; name the generations by number",
                    link.display()
                ));
            };
            select(which, &links, current, SystemTime::now())
        }
    };
    let mut deleted = Deleted { deleted: Vec::new(), kept: Vec::new() };
    for one in all.iter().filter(|one| chosen.contains(&one.number)) {
        match protection(one, stands_at) {
            Some(protection) => deleted.kept.push((one.number, protection)),
            None => deleted.deleted.push(one.number),
        }
    }
    Ok((link, deleted))
}

/// Returns why a generation is protected, if it is.
fn protection(one: &Generation, stands_at: Option<u64>) -> Option<Protection> {
    match one {
        Generation { current: true, .. } => Some(Protection::Current),
        Generation { running: true, .. } => Some(Protection::Running),
        Generation { pinned: true, .. } => Some(Protection::Pinned),
        // Profile and intent may differ briefly; nix-env would refuse to delete this one.
        Generation { number, .. } if stands_at == Some(*number) => Some(Protection::InProfile),
        _ => None,
    }
}

fn remedy(protection: Protection, name: &MachineName, number: u64) -> String {
    match protection {
        Protection::Current => "; 'nixos-nspawn rollback' makes another one current".to_owned(),
        Protection::Running => format!("; restart systemd-nspawn@{name} first"),
        Protection::Pinned => format!("; 'nixos-nspawn unpin {name} {number}' first"),
        Protection::InProfile => String::new(),
    }
}

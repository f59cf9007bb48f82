//! Builds what an update of several containers will need, several builds at once. Nothing else is touched: the updates
//! follow one by one, and find what was built.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Loaded;

use crate::base::host::Host;
use crate::change::next::{MadeAhead, profile_folder};
use crate::change::update::UpdateOptions;
use crate::fact::lookup::imperative;
use crate::host::profile_links;
use crate::host::update_memory::{UpdateMemory, is_named_like};
use crate::nix::build::{Draft, Request, Step};
use crate::nix::cause::Cause;
use crate::nix::source::Wanted;
use crate::nix::tool::{Build, Nix};

/// What was built ahead, by container; a failed build is the result of its update.
pub(crate) type Ahead = BTreeMap<MachineName, MadeAhead>;

/// A build that is due.
struct Due<'a> {
    name: &'a MachineName,
    old: &'a Intent,
    wanted: Wanted,
    memory: UpdateMemory,
    link: PathBuf,
}

impl Due<'_> {
    fn request<'b>(&'b self, host: &'b Host, nix: &'b Nix<'b>) -> Request<'b> {
        let (recorded, last) = (self.old.source.as_ref(), self.memory.built.as_ref());
        Request { host, nix: Some(nix), name: self.name, wanted: &self.wanted, recorded, last }
    }
}

/// Builds for these containers, at most `jobs` at once. What cannot be prepared is left to the update, which says why.
pub(crate) fn build_ahead(
    host: &Host,
    nix: &Nix,
    loaded: &Loaded,
    names: &[MachineName],
    options: &UpdateOptions,
    jobs: usize,
) -> Ahead {
    let due: Vec<Due> = names.iter().filter_map(|name| due(host, loaded, name, options)).collect();
    let mut drafts: Vec<(&Due, Box<Draft>)> = Vec::new();
    for one in &due {
        if let Ok(Step::Build(draft)) = one.request(host, nix).step() {
            drafts.push((one, draft));
        }
    }
    let builds: Vec<Build> = drafts
        .iter()
        .map(|(due, draft)| Build {
            what: &draft.what,
            accepted: draft.accepted,
            link: &due.link,
            arguments: &due.wanted.arguments,
        })
        .collect();
    let outputs = nix.build_all(&builds, jobs);
    let mut ahead = Ahead::new();
    for ((due, draft), output) in drafts.into_iter().zip(outputs) {
        let made = match output {
            Ok(output) => Ok(due.request(host, nix).finished(*draft, output)),
            // The update searches for the attribute again.
            Err(unbuilt) if unbuilt.cause == Some(Cause::Attribute) => continue,
            Err(unbuilt) => Err(unbuilt.error.into()),
        };
        ahead.insert(due.name.clone(), MadeAhead::of(due.old, made));
    }
    ahead
}

/// Returns the build that an update of this container may need.
fn due<'a>(
    host: &Host,
    loaded: &'a Loaded,
    name: &'a MachineName,
    options: &UpdateOptions,
) -> Option<Due<'a>> {
    let old = imperative(loaded, name).ok()?;
    let folder = profile_folder(host, name, old);
    if !is_named_like(&folder, name) {
        return None;
    }
    let memory = UpdateMemory::read(host, name, &folder).ok()?;
    let wanted = options.source.wanted(host, old.source.as_ref()).ok()?;
    let skipped = options.all && memory.hold.is_some() || !host.path(&folder).is_dir();
    if skipped {
        return None;
    }
    profile_links::sweep_ahead(host, &folder);
    Some(Due { name, old, wanted, memory, link: folder.join(profile_links::ahead()) })
}

/// Removes the links with which this process protects what it has built ahead.
pub(crate) fn remove_links(host: &Host, loaded: &Loaded, names: &[MachineName]) {
    for name in names {
        let Ok(old) = imperative(loaded, name) else { continue };
        let folder = profile_folder(host, name, old);
        if !is_named_like(&folder, name) {
            continue;
        }
        let link = folder.join(profile_links::ahead());
        if std::fs::remove_file(host.path(&link)).is_ok() {
            profile_links::drop_indirect_root(host, &link);
        }
    }
}

//! Builds the new generations for an update of several containers in parallel. Changes nothing else; the updates
//! that follow use the results one by one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Loaded;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::change::next::{MadeAhead, build_limit, profile_folder};
use crate::change::skip::skipped;
use crate::change::update_options::UpdateOptions;
use crate::fact::lookup::imperative;
use crate::host::profile_links;
use crate::host::update_memory::{UpdateMemory, is_named_like};
use crate::nix::build::{Draft, Request, Step};
use crate::nix::cause::Cause;
use crate::nix::source::Wanted;
use crate::nix::tool::{Build, Nix};

/// The results of builds, by container. A failed build makes the container's update fail.
pub(crate) type Ahead = BTreeMap<MachineName, MadeAhead>;

/// A container that may need a build.
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
        Request {
            host,
            nix: Some(nix),
            name: self.name,
            wanted: &self.wanted,
            recorded,
            last,
            limit: build_limit(self.old),
        }
    }
}

/// Builds for these containers, at most `jobs` in parallel. Omits containers whose build cannot be prepared; their
/// update reports the reason.
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
            limit: build_limit(due.old),
        })
        .collect();
    if !drafts.is_empty() {
        let names = drafts.iter().map(|(due, _)| due.name.clone()).collect();
        host.report(Event::Building { names });
    }
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

/// Returns what the build for a container needs, or `None` if the container is skipped.
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
    if options.all && skipped(old, &memory).is_some() || !host.path(&folder).is_dir() {
        return None;
    }
    profile_links::sweep_ahead(host, &folder);
    Some(Due { name, old, wanted, memory, link: folder.join(profile_links::ahead()) })
}

/// Removes the links by which this process protects these builds from garbage collection.
pub(crate) fn remove_links(host: &Host, loaded: &Loaded, names: &[MachineName]) {
    for name in names {
        let Ok(old) = imperative(loaded, name) else { continue };
        let folder = profile_folder(host, name, old);
        if !is_named_like(&folder, name) {
            continue;
        }
        let link = folder.join(profile_links::ahead());
        if host.path(&link).is_symlink() {
            profile_links::drop_indirect_root(host, &link);
            let _ = std::fs::remove_file(host.path(&link));
        }
    }
}

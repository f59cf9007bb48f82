//! Builds the new generations for an update of several containers in parallel. Changes nothing else; the updates use the
//! results.

use std::path::PathBuf;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Loaded;
use nixos_nspawn_units::value::StorePath;

use crate::base::host::Host;
use crate::change::next::{MadeAhead, build_limit, profile_folder};
use crate::change::skip::skipped;
use crate::change::update_options::UpdateOptions;
use crate::fact::lookup::imperative;
use crate::host::profile_links;
use crate::host::update_memory::{UpdateMemory, is_named_like};
use crate::nix::build::{Draft, Request, Step};
use crate::nix::builds::{Build, OnBuilt};
use crate::nix::cause::{Cause, Unbuilt};
use crate::nix::source::Wanted;
use crate::nix::tool::Nix;

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

/// The builds for these containers.
pub(crate) struct Ahead<'a>(Vec<(Due<'a>, Box<Draft>)>);

impl<'a> Ahead<'a> {
    /// Prepares the builds. Omits containers that need none, and those whose build cannot be prepared; their update
    /// reports the reason.
    pub(crate) fn prepare(
        host: &Host,
        nix: &Nix,
        loaded: &'a Loaded,
        names: &'a [MachineName],
        options: &UpdateOptions,
    ) -> Self {
        let due = names.iter().filter_map(|name| due(host, loaded, name, options));
        let drafted = |due: Due<'a>| match due.request(host, nix).step() {
            Ok(Step::Build(draft)) => Some((due, draft)),
            _ => None,
        };
        Self(due.filter_map(drafted).collect())
    }

    /// Returns the containers that are built.
    pub(crate) fn names(&self) -> Vec<MachineName> {
        self.0.iter().map(|(due, _)| due.name.clone()).collect()
    }

    /// Builds, at most `jobs` in parallel, and reports the end of each.
    pub(crate) fn build<'b>(&'b self, nix: &Nix, jobs: usize, built: OnBuilt) {
        let build = |(due, draft): &'b (Due<'a>, Box<Draft>)| Build {
            what: &draft.what,
            accepted: draft.accepted,
            link: Some(&due.link),
            arguments: &due.wanted.arguments,
            limit: build_limit(due.old),
        };
        nix.build_all(&self.0.iter().map(build).collect::<Vec<_>>(), jobs, built);
    }

    /// Returns a result for the update of its container. A failed build makes that fail, unless the attribute is gone:
    /// then the update searches for it again.
    pub(crate) fn made(
        &self,
        host: &Host,
        nix: &Nix,
        at: usize,
        output: Result<StorePath, Unbuilt>,
    ) -> Option<MadeAhead> {
        let (due, draft) = &self.0[at];
        let made = match output {
            Ok(output) => Ok(due.request(host, nix).finished(draft.as_ref().clone(), output)),
            Err(unbuilt) if unbuilt.cause == Some(Cause::Attribute) => return None,
            Err(unbuilt) => Err(unbuilt.error.into()),
        };
        Some(MadeAhead::of(due.old, made))
    }
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

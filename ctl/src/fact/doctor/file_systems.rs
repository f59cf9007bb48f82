//! File systems of the store and of bind mounts, control groups, and the journal.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::id_mapping::may_map_ids;
use nixos_nspawn_units::nspawn::nspawn_file;
use systemd_unit_syntax::words::bind_fields;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;
use crate::host::files::absent;
use crate::host::mounts::Mounts;
use crate::host::systemd::unit_is;

/// A bind mount whose owners are to be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Its source.
    pub(crate) source: String,
    /// The type of its file system.
    pub(crate) kind: String,
    /// Whether the kernel may be able to map owners there.
    pub(crate) possible: bool,
    /// What is mounted below it, which prevents mapping.
    pub(crate) below: Option<PathBuf>,
    /// The containers that it is for.
    pub(crate) names: Vec<MachineName>,
}

/// Returns the bind mounts of all containers whose owners are to be mapped, each source once.
pub(crate) fn mapped(host: &Host, overview: &Overview) -> Seen<Vec<Mapped>> {
    let mounts = Mounts::read(host).map_err(Unseen::from)?;
    let mut sources: BTreeMap<(String, bool), Vec<MachineName>> = BTreeMap::new();
    for container in overview.containers.values() {
        for source in container.intent.iter().flat_map(idmapped) {
            sources.entry(source).or_default().push(container.name.clone());
        }
    }
    let mut all = Vec::new();
    for ((source, recursive), mut names) in sources {
        names.dedup();
        let path = host.path(&source);
        let there = existing(&path).map_err(|error| Unseen::path(&path, &error))?;
        let Some(kind) = mounts.kind(&there).map(str::to_owned) else { continue };
        let below = mounts.below(&there).next().filter(|_| recursive && there == path);
        all.push(Mapped {
            possible: may_map_ids(&kind),
            below: below.map(Path::to_owned),
            source,
            kind,
            names,
        });
    }
    Ok(all)
}

/// Returns the part of a path that exists, resolved: what is missing is made when the container starts.
fn existing(path: &Path) -> io::Result<PathBuf> {
    for part in path.ancestors() {
        match part.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// Returns the sources of bind mounts that map owners, and whether they include what is mounted below.
fn idmapped(intent: &Intent) -> Vec<(String, bool)> {
    let Ok(file) = nspawn_file(intent) else { return Vec::new() };
    let binds = ["Bind", "BindReadOnly"].into_iter().flat_map(|key| file.values("Files", key));
    let mapped = binds.filter_map(|value| {
        let fields = bind_fields(value).ok()?;
        let options = fields.options.unwrap_or_default();
        let has = |wanted: &[&str]| options.split(',').any(|option| wanted.contains(&option));
        // Copies of devices are made when the container starts.
        let kept = fields.source.starts_with('/') && !fields.source.starts_with("/run/nixos-nspawn/");
        (kept && has(&["idmap", "rootidmap", "owneridmap"])).then(|| (fields.source, !has(&["norbind"])))
    });
    mapped.collect()
}

/// The control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlGroups {
    /// The type of the file system at /sys/fs/cgroup.
    pub(crate) kind: String,
    /// The controllers of the root group.
    pub(crate) controllers: Vec<String>,
    /// The controllers that containers need for their limits, and a container that does.
    pub(crate) needed: Vec<(&'static str, MachineName)>,
}

/// Looks at the control groups.
pub(crate) fn control_groups(host: &Host, overview: &Overview) -> Seen<ControlGroups> {
    let mounts = Mounts::read(host).map_err(Unseen::from)?;
    let top = host.path("/sys/fs/cgroup");
    let path = top.join("cgroup.controllers");
    let controllers = match fs::read_to_string(&path) {
        Err(error) if !absent(&error) => return Err(Unseen::path(&path, &error)),
        controllers => controllers.unwrap_or_default(),
    };
    let mut needed = Vec::new();
    for (name, intent) in
        overview.containers.values().filter_map(|one| Some((&one.name, one.intent.as_ref()?)))
    {
        let container = &intent.container;
        for (controller, asked) in [
            ("memory", container.memory_max.is_some() || container.memory_high.is_some()),
            ("cpu", container.cpu_quota.is_some() || container.cpu_weight.is_some()),
            ("io", container.io_weight.is_some()),
            ("pids", container.tasks_max.is_some()),
        ] {
            if asked && !needed.iter().any(|(known, _)| *known == controller) {
                needed.push((controller, name.clone()));
            }
        }
    }
    Ok(ControlGroups {
        kind: mounts.kind(Path::new("/sys/fs/cgroup")).unwrap_or_default().to_owned(),
        controllers: controllers.split_whitespace().map(str::to_owned).collect(),
        needed,
    })
}

/// The journal of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalSeen {
    /// Whether journald runs; true in an offline tree.
    pub(crate) runs: Seen<bool>,
    /// Whether it is kept across boots.
    pub(crate) kept: Seen<bool>,
}

/// Looks at the journal.
pub(crate) fn journal(host: &Host) -> JournalSeen {
    let runs = match host.booted() {
        true => unit_is(host, "is-active", "systemd-journald.service").map_err(Unseen::from),
        false => Ok(true),
    };
    let path = host.directory(host.scope.journal);
    let kept = match path.metadata() {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if absent(&error) => Ok(false),
        Err(error) => Err(Unseen::path(&path, &error)),
    };
    JournalSeen { runs, kept }
}

//! Files of the host: bind mounts with what they allow, what covers them, temporary file systems.

use std::collections::HashMap;
use std::path::Path;

use super::free::unknown;
use super::item::{Items, Kind, Owners, Subject, TMPFS, value};
use crate::intent::{Amount, BindMount, BindSource, Container, Tmpfs};
use crate::nspawn::files::BINDS;
use crate::nspawn::host_nix::is_repeated;
use systemd_unit_syntax::words::bind_fields;

/// A bind mount, of an option or free-form.
struct Bind {
    /// A path of the host; the container's own files and temporary directories are none of the host's.
    source: Option<String>,
    destination: String,
    write: bool,
    below: bool,
    owners: Owners,
    option: &'static str,
}

/// Adds what bind mounts, and what is mounted over them, let the container see of the host's files.
pub(super) fn mounts(items: &mut Items, container: &Container) {
    let inside = container.in_user_namespace();
    let mut binds: Vec<Bind> = container
        .bind_mounts
        .iter()
        .filter(|mount| !mount.is_host_database())
        .map(|mount| of_option(mount, inside))
        .collect();
    for (key, write) in [("Bind", true), ("BindReadOnly", false)] {
        let values = container.nspawn_config.files.get(key).unwrap_or_default();
        // What repeats a mount of the host's Nix is left out.
        for value in values.iter().filter(|value| !is_repeated(key, value, container)) {
            match of_setting(value, write, inside) {
                Some(bind) => binds.push(bind),
                None => unknown(items, "nspawnConfig.Files", key, values),
            }
        }
    }
    binds.iter().for_each(|bind| seen(items, bind));
    let tmpfs: Vec<String> = container.tmpfs.iter().map(|tmpfs| plain(&tmpfs.path())).collect();
    covered(items, &binds, &tmpfs);
    for tmpfs in &container.tmpfs {
        memory(items, tmpfs);
    }
    for path in &container.inaccessible_paths {
        items.cannot(value("inaccessiblePaths", path.as_str()), format!("see {path} (inaccessiblePaths)"));
    }
}

fn of_option(mount: &BindMount, inside: bool) -> Bind {
    let (source, destination, read_only) = mount.parts();
    let options: Vec<&str> = mount.options_in_force(inside).collect();
    Bind {
        source: match source {
            BindSource::Host(path) => Some(path.to_string()),
            BindSource::Root(_) | BindSource::Temporary => None,
        },
        destination: plain(destination.as_str()),
        write: !read_only,
        below: is_recursive(&options),
        owners: owners(&options, inside),
        option: "bindMounts",
    }
}

fn of_setting(value: &str, write: bool, inside: bool) -> Option<Bind> {
    let fields = bind_fields(value).ok()?;
    let options: Vec<&str> = fields.options.as_deref().unwrap_or_default().split(',').collect();
    Some(Bind {
        destination: plain(fields.destination.as_deref().unwrap_or(fields.source.trim_start_matches('+'))),
        source: Some(fields.source).filter(|source| source.starts_with('/')),
        write,
        below: is_recursive(&options),
        owners: owners(&options, inside),
        option: "nspawnConfig.Files",
    })
}

/// Returns the path without what changes nothing.
fn plain(path: &str) -> String {
    let parts = path.split('/').filter(|part| !["", "."].contains(part));
    parts.flat_map(|part| ["/", part]).collect()
}

/// The last option wins.
fn is_recursive(options: &[&str]) -> bool {
    options.iter().rfind(|option| ["rbind", "norbind"].contains(option)).is_none_or(|last| *last == "rbind")
}

fn owners(options: &[&str], inside: bool) -> Owners {
    if !inside {
        return Owners::HostRoot;
    }
    options
        .iter()
        .rev()
        .fold(None, |found, option| {
            found.or(match *option {
                "idmap" => Some(Owners::Each),
                "rootidmap" => Some(Owners::Source),
                "owneridmap" => Some(Owners::Destination),
                "noidmap" => Some(Owners::Nobody),
                _ => None,
            })
        })
        .unwrap_or(Owners::Nobody)
}

fn seen(items: &mut Items, bind: &Bind) {
    let Bind { source: Some(source), destination: _, write, below, owners, option } = bind else { return };
    let does = if *write { "write" } else { "read" };
    let below_too = if *below { "" } else { " without what is mounted below it" };
    let whose = match owners {
        // `--prepare` mounts and locks all other read-only sources.
        Owners::HostRoot if !write && Path::new("/").join(BINDS).starts_with(source) => {
            " as the host's root, which can make it writable"
        }
        Owners::HostRoot => " as the host's root",
        Owners::Nobody => ", owners not mapped",
        Owners::Each => ", each owner keeping its number",
        Owners::Source => ", as the owner of the source",
        Owners::Destination => ", as the owner of its place inside",
    };
    let subject = Subject::Bind { source: source.clone(), write: *write, below: *below, owners: *owners };
    items.can(subject, format!("{does} {source}{below_too}{whose} ({option})"));
}

/// What is mounted below the place of a bind mount covers files of the host: those of the nearest one, since it covers
/// those of the others itself.
fn covered(items: &mut Items, binds: &[Bind], tmpfs: &[String]) {
    let places = || binds.iter().map(|bind| (&bind.destination, Some(bind)));
    let places = || places().chain(tmpfs.iter().map(|place| (place, None)));
    let by_place: HashMap<&str, Option<&Bind>> =
        places().map(|(place, bind)| (place.as_str(), bind)).collect();
    for (place, _) in places() {
        let above = place.char_indices().rev().filter(|(_, c)| *c == '/').map(|(at, _)| place.split_at(at));
        let mut mounts = above.filter_map(|(above, rest)| Some((by_place.get(above)?, rest)));
        let Some((Some(bind), rest)) = mounts.next() else { continue };
        let Some(source) = &bind.source else { continue };
        let path = format!("{}{rest}", source.trim_end_matches('/'));
        let does = if bind.write { "write" } else { "read" };
        let text = format!("{does} {path}, which another mount covers ({})", bind.option);
        items.cannot(Subject::Covered { source: source.clone(), path }, text);
    }
}

/// A temporary file system takes memory of the host.
fn memory(items: &mut Items, tmpfs: &Tmpfs) {
    let (path, options) = (tmpfs.path(), tmpfs.options().unwrap_or_default());
    let of = |name: &str| {
        let last = options.split(',').filter_map(|option| option.strip_prefix(name)).next_back();
        last.map_or(Amount::Unknown, Amount::of_memory)
    };
    let subject = Subject::Amount {
        setting: format!("{TMPFS}{path}"),
        amounts: vec![of("size=")],
        value: Some(options.to_owned()),
    };
    let options = if options.is_empty() { "no size" } else { options };
    items.push(Kind::Resource, subject, format!("{path} in memory with {options} (tmpfs)"));
}

//! What a file is for `verify`, by its path.

use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DECLARATIVE_DIRECTORY, DIRECTORY, HOST_FILE};

/// Types of units of PID 1, and files of networkd, which share their syntax.
const UNITS: &[&str] = &[
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
    "link",
    "netdev",
    "network",
];

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Settings of a container (`systemd.nspawn(5)`).
    Nspawn,
    /// A unit of this type, or a drop-in of one.
    Unit(String),
    /// A file in systemd's syntax.
    Syntax,
    /// Our settings (`nixos-nspawn.conf(5)`).
    Config,
    /// The intent of a container with this name (`nixos-nspawn.json(5)`).
    Intent(MachineName),
    /// An intent whose file is not named as a container could be.
    Misnamed(String),
    /// Options of a profile.
    Data,
    /// The generator's file about the host.
    Host,
}

/// Returns the kind of a file; `None` if it is of no known one. A file that was named by the user may be an intent
/// wherever it is, and any `.conf` is read as systemd would.
pub(crate) fn kind_of(path: &Path, named: bool) -> Option<Kind> {
    let file = path.file_name()?.to_str()?;
    let (stem, extension) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let last = |path: &'static str| path.rsplit_once('/').map_or(path, |(_, last)| last);
    let intents = folder == last(DECLARATIVE_DIRECTORY)
        || path.parent().is_some_and(|parent| parent.ends_with(DIRECTORY.trim_start_matches('/')));
    match extension {
        "nspawn" => Some(Kind::Nspawn),
        unit if UNITS.contains(&unit) => Some(Kind::Unit(unit.to_owned())),
        "conf" => {
            let of_unit = folder.strip_suffix(".d").and_then(|unit| unit.rsplit('.').next());
            match of_unit.filter(|unit| UNITS.contains(unit)) {
                Some(unit) => Some(Kind::Unit(unit.to_owned())),
                None if stem == "nixos-nspawn" || folder == "nixos-nspawn.conf.d" => Some(Kind::Config),
                None => named.then_some(Kind::Syntax),
            }
        }
        // A container may have that name, and other programs have such files.
        "json" if file == "data.json" && !intents && (named || folder == last(DIRECTORY)) => Some(Kind::Data),
        "json" if named || folder == last(DIRECTORY) || folder == last(DECLARATIVE_DIRECTORY) => {
            match stem.parse() {
                _ if file == last(HOST_FILE) => Some(Kind::Host),
                Ok(name) => Some(Kind::Intent(name)),
                Err(_) => Some(Kind::Misnamed(stem.to_owned())),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files() {
        let kind = |path: &str, named| kind_of(Path::new(path), named);
        let unit = |kind: &str| Some(Kind::Unit(kind.to_owned()));
        assert_eq!(kind("web.nspawn", false), Some(Kind::Nspawn));
        assert_eq!(kind("/etc/systemd/system/systemd-nspawn@web.service.d/50.conf", false), unit("service"));
        assert_eq!(kind("/etc/systemd/system/a.b.socket", false), unit("socket"));
        assert_eq!(kind("service.d/a.conf", false), unit("service"));
        assert_eq!(kind("/etc/nixos-nspawn.conf", false), Some(Kind::Config));
        assert_eq!(kind("/etc/nixos-nspawn.conf.d/a.conf", false), Some(Kind::Config));
        assert_eq!(kind("a/b.conf", false), None);
        assert_eq!(kind("a/b.conf", true), Some(Kind::Syntax));
        assert_eq!(kind("/etc/nixos-nspawn/host.json", false), Some(Kind::Host));
        let intent = Some(Kind::Intent("web".parse().unwrap()));
        assert_eq!(kind("/etc/nixos-nspawn/web.json", false), intent);
        assert_eq!(kind("/etc/nixos-nspawn/declarative.d/web.json", false), intent);
        assert_eq!(kind("web.json", false), None);
        assert_eq!(kind("web.json", true), intent);
        assert_eq!(kind("x/nixos-nspawn/data.json", false), Some(Kind::Data));
        assert_eq!((kind("x/data.json", false), kind("x/data.json", true)), (None, Some(Kind::Data)));
        let data = Some(Kind::Intent("data".parse().unwrap()));
        assert_eq!(kind("/etc/nixos-nspawn/data.json", false), data);
        assert_eq!(kind("/etc/nixos-nspawn/a b.json", false), Some(Kind::Misnamed("a b".to_owned())));
        assert_eq!((kind(".nspawn", true), kind("README", true)), (None, None));
    }
}

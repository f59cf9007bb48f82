//! The files that make up the units of containers: those that the generator has written, and those of others, which may be
//! for all containers or for one.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::DROP_IN;
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};
use systemd_unit_syntax::parse;

use crate::base::host::Host;
use crate::host::files::names_in;

/// Where others may put files for the unit of one container (`systemd.unit(5)`). What generators make is loaded as soon as
/// it is made.
const UNIT_DIRECTORIES: [&str; 9] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// What others have put into the unit directories.
pub(super) struct OtherFiles {
    /// The instances that have files or directories of their own.
    instances: BTreeSet<String>,
    /// When the files for all instances were last changed.
    pub(super) changed: Option<SystemTime>,
}

impl OtherFiles {
    /// Looks into the unit directories.
    pub(super) fn read(host: &Host) -> Result<Self> {
        let mut others = Self { instances: BTreeSet::new(), changed: None };
        for directory in UNIT_DIRECTORIES {
            let directory = host.path(directory);
            for name in names_in(&directory)? {
                match instance(&name) {
                    "" if FOR_ALL.contains(&name.as_str()) => {
                        others.changed = others.changed.max(last_change(&directory.join(&name)));
                    }
                    "" => {}
                    instance => drop(others.instances.insert(instance.to_owned())),
                }
            }
        }
        Ok(others)
    }

    /// Returns whether the unit has files of its own.
    pub(super) fn concern(&self, unit: &str) -> bool {
        self.instances.contains(instance(unit))
    }
}

/// The files and directories that are part of all instances.
const FOR_ALL: [&str; 4] =
    ["systemd-nspawn@.service", "systemd-nspawn@.service.d", "systemd-@.service.d", "service.d"];

/// Returns when a file, or a directory or a file in it, was last changed. Times that lie ahead do not count: the clock was
/// wrong, and nothing that is generated would ever be newer.
fn last_change(path: &Path) -> Option<SystemTime> {
    let now = SystemTime::now();
    let inside = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let times = inside.chain([path.to_owned()]).filter_map(|path| modified(&path));
    times.filter(|time| *time <= now).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Returns the instance that a unit's name or that of a directory with drop-ins is about; nothing if it is about all
/// containers, or none. Of the part before the `@`, what follows the last dash may be missing (`systemd.unit(5)`).
fn instance(name: &str) -> &str {
    let rest = name.strip_prefix("systemd-nspawn@").or_else(|| name.strip_prefix("systemd-@"));
    rest.and_then(|rest| rest.strip_suffix(".d").unwrap_or(rest).strip_suffix(".service")).unwrap_or_default()
}

/// The drop-in that the generator has written for a container, which is loaded or would be.
#[derive(Default)]
pub(super) struct Generated {
    /// The hash of the plan.
    pub(super) plan: Option<String>,
    written: Option<SystemTime>,
    /// Whether only PID 1 knows what is loaded: the intent is gone or has been changed since (`SourcePath=` in
    /// `systemd.unit(5)`), or the drop-in cannot be read.
    pub(super) uncertain: bool,
}

impl Generated {
    /// Reads the drop-in of a container, if there is one.
    pub(super) fn read(host: &Host, name: &MachineName) -> Self {
        let path = host.path(format!("/{GENERATOR_DIRECTORY}/{}.d/{DROP_IN}", unit_name(name)));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                return Self { uncertain: error.kind() != ErrorKind::NotFound, ..Self::default() };
            }
        };
        let Ok(file) = parse(&bytes).map(|parsed| parsed.file) else {
            return Self { uncertain: true, ..Self::default() };
        };
        let prefix = format!("{PLAN_VARIABLE}=");
        let plan = file.values("Service", "Environment").find_map(|value| value.strip_prefix(&prefix));
        let written = modified(&path);
        let unchanged = |source: &str| modified(&host.path(source)).is_some_and(|time| Some(time) <= written);
        let uncertain = !file.values("Unit", "SourcePath").all(unchanged);
        Self { plan: plan.map(str::to_owned), written, uncertain }
    }

    /// Returns whether it was written before that time.
    pub(super) fn older_than(&self, changed: Option<SystemTime>) -> bool {
        self.written.is_some() && self.written < changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_single_containers() {
        for (name, about) in [
            ("systemd-nspawn@web.service.d", "web"),
            ("systemd-nspawn@web.service", "web"),
            ("systemd-@a-b.service.d", "a-b"),
            ("systemd-nspawn@.service.d", ""),
            ("systemd-nspawn@.service", ""),
            ("systemd-nspawn.service.d", ""),
            ("systemd-.service.d", ""),
            ("getty@tty1.service", ""),
        ] {
            assert_eq!(instance(name), about, "{name}");
        }
    }
}

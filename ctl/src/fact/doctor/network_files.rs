//! The .network files that networkd considers before those of containers, and the file that it has chosen for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nixos_nspawn_units::copies::NETWORK_DIRECTORY;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::file_name;
use systemd_unit_syntax::parse;

use crate::base::host::Host;
use crate::fact::doctor::seen::Unseen;
use crate::fact::overview::Overview;
use crate::host::files::{absent, followed, names_in};
use crate::host::networkd;
use crate::host::unit_links::system_path;

/// The directories that networkd searches, in order of precedence (`systemd.network(5)`).
const PLACES: [&str; 4] = [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
];

/// A .network file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkFile {
    /// Its path on the system.
    pub(crate) path: String,
    /// The settings in [Match].
    pub(crate) matches: Vec<(String, String)>,
}

/// The interface of a container on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostEnd {
    /// The container.
    pub(crate) name: MachineName,
    /// The interface.
    pub(crate) interface: String,
    /// The file that networkd is to choose for it.
    pub(crate) wanted: String,
    /// The file that it has chosen, if the interface exists and networkd knows it.
    pub(crate) chosen: Option<String>,
}

/// The files in the order in which networkd considers them, and the interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NetworkFiles {
    /// The files.
    pub(crate) files: Vec<NetworkFile>,
    /// The interfaces with a file of ours.
    pub(crate) ends: Vec<HostEnd>,
    /// The files and directories that cannot be read.
    pub(crate) unseen: Vec<Unseen>,
}

impl NetworkFiles {
    /// Reads the files.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let mut unseen: Vec<Unseen> = Vec::new();
        let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
        for place in PLACES {
            let directory = host.directory(place);
            let names = names_in(&directory).unwrap_or_else(|error| {
                unseen.push(error.into());
                Vec::new()
            });
            for name in names.into_iter().filter(|name| name.ends_with(".network")) {
                paths.entry(name.clone()).or_insert_with(|| directory.join(name));
            }
        }
        let mut file = |path: PathBuf| {
            let bytes = match fs::read(followed(host, &path)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    unseen.extend((!absent(&error)).then(|| Unseen::path(&path, &error)));
                    return None;
                }
            };
            // networkd ignores what it cannot parse.
            let parsed = parse(&bytes).ok()?;
            let matches = parsed.file.settings().filter(|(section, ..)| *section == "Match");
            let matches = matches.map(|(_, key, value)| (key.to_owned(), value.to_owned())).collect();
            Some(NetworkFile { path: system_path(host, &path), matches })
        };
        let end = |one: &crate::fact::overview::Container| {
            let container = &one.intent.as_ref()?.container;
            let interface = container.host_interface(&one.name).filter(|name| name.starts_with("ve-"))?;
            let record = networkd::link(host, &interface);
            Some(HostEnd {
                chosen: record
                    .and_then(|record| networkd::link_value(&record, "NETWORK_FILE").map(str::to_owned)),
                wanted: format!("/{NETWORK_DIRECTORY}/{}", file_name(&one.name)),
                name: one.name.clone(),
                interface,
            })
        };
        let files = paths.into_values().filter_map(&mut file).collect();
        Self { files, ends: overview.containers.values().filter_map(end).collect(), unseen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Played;

    #[test]
    fn files_that_cannot_be_read_are_told() {
        let played = Played::new();
        played.record();
        let overview = Overview::gather(&played.host).unwrap();
        let directory = played.host.path("/etc/systemd/network");
        fs::create_dir_all(directory.join("10-odd.network")).unwrap();
        fs::write(directory.join("20-all.network"), "[Match]\nType=ether\n").unwrap();
        std::os::unix::fs::symlink("gone", directory.join("30-gone.network")).unwrap();
        let seen = NetworkFiles::look(&played.host, &overview);
        assert_eq!(seen.files.len(), 1, "{seen:?}");
        assert_eq!(seen.files[0].matches, [("Type".to_owned(), "ether".to_owned())]);
        assert!(seen.unseen.len() == 1 && seen.unseen[0].why.contains("10-odd"), "{seen:?}");
    }
}

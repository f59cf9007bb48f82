//! The contents of the files for networkd.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::contents::{Entry, MARKER, file, header};
use super::hash::plan_hash;
use crate::intent::Container;
use crate::name::MachineName;
use crate::network::{HostEnd, RUNTIME_LEASES, file_name, network_file, zone_end};
use systemd_unit_syntax::UnitFile;

/// A file for networkd.
pub(super) struct Network {
    pub(super) file_name: String,
    /// The hash of the settings that do not depend on the host, which ctl can compute without knowing the host.
    pub(super) hash: String,
    /// The file, or why systemd would read it differently.
    pub(super) entry: Result<Entry, String>,
}

/// The files of zones, by zone.
pub(super) type Zones<'a> = BTreeMap<&'a str, Zone>;

/// The file of a zone.
pub(super) struct Zone {
    network: Network,
    /// Whether it is among the files of a container already.
    handed_over: AtomicBool,
}

/// The file that a container needs.
pub(super) enum Needed<'a> {
    /// Its own.
    Own(Network),
    /// That of its zone.
    OfZone(&'a Zone),
}

impl Needed<'_> {
    pub(super) fn network(&self) -> &Network {
        match self {
            Self::Own(network) => network,
            Self::OfZone(zone) => &zone.network,
        }
    }

    /// Returns whether the file is to be written with those of this container. That of a zone is written once, however
    /// many containers are in the zone.
    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::Own(_) => true,
            Self::OfZone(zone) => !zone.handed_over.swap(true, Ordering::Relaxed),
        }
    }
}

/// Returns the files of the zones of these containers.
pub(super) fn zones<'a>(containers: impl Iterator<Item = &'a Container>, systemd: u32) -> Zones<'a> {
    let mut zones = Zones::new();
    for zone in containers.filter_map(Container::zone_name) {
        zones.entry(zone).or_insert_with_key(|zone| {
            let end = zone_end(zone, systemd);
            let origin = format!("the containers of zone '{zone}'");
            let network = written(end, &origin, systemd, || zone_end(zone, 0).file);
            Zone { network, handed_over: AtomicBool::new(false) }
        });
    }
    zones
}

/// Returns the file for the container of an intent file: that of its own interface, or that of its zone.
pub(super) fn network<'a>(
    name: &MachineName,
    container: &Container,
    path: &str,
    systemd: u32,
    zones: &'a Zones<'_>,
) -> Option<Needed<'a>> {
    let Some(file) = network_file(name, container, systemd) else {
        return zones.get(container.zone_name()?).map(Needed::OfZone);
    };
    let end = HostEnd { file_name: file_name(name), file };
    let network = written(end, path, systemd, || network_file(name, container, 0).unwrap_or_default());
    Some(Needed::Own(network))
}

/// Adds the hash and the origin to a file. Before `RUNTIME_LEASES`, the file is the same for any host.
fn written(end: HostEnd, origin: &str, systemd: u32, for_any_host: impl FnOnce() -> UnitFile) -> Network {
    let HostEnd { file_name, file: mut network } = end;
    let hash = if systemd < RUNTIME_LEASES {
        plan_hash(std::iter::once(&network))
    } else {
        plan_hash(std::iter::once(&for_any_host()))
    };
    network.comment(format!("{MARKER}{hash}"));
    header(&mut network, origin);
    Network { file_name, hash, entry: file(&network) }
}

//! The pure middle: from everything loaded to every file and link below the generator's directory, by relative path.
//! The same input in any order gives the same bytes. Nothing here does I/O or fails as a whole: what cannot be planned
//! becomes a refusal of that one container.

mod hash;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::boot::{BootLimit, turn_unit};
use crate::conflict::conflicts;
use crate::intent::Intent;
use crate::name::MachineName;
use crate::network::{self, HostEnd, host_end};
use crate::nspawn::nspawn_file;
use crate::ordering::{Order, waits_for};
use crate::service::{PLAN_VARIABLE, drop_in, refusing_drop_in, unit_name};
use crate::socket::{Socket, container_of, sockets};
use crate::store::{HOST_FILE, Host, Kind, Loaded, Stored};
use crate::syntax::UnitFile;
use crate::syntax::escape::EscapeError;
use crate::version::unmet;

use hash::plan_hash;

/// The directory below the generator's for files that are no units; PID 1 ignores it.
pub const OWN_DIRECTORY: &str = "nixos-nspawn";

/// How the first line of a generated .nspawn or .network file continues after `# `. It tells our copies in /run from
/// other files.
pub const MARKER: &str = "nixos-nspawn plan ";

/// The section of a generated .nspawn file for `--prepare`.
pub const EXTENSION: &str = "X-NixosNspawn";

/// Its setting with the hash of the container's .network file.
pub const NETWORK_HASH: &str = "NetworkFile";

/// Its setting with the name of that file.
pub const NETWORK_NAME: &str = "NetworkFileName";

/// Its setting that tells whether the options ask for that file, so that its absence is worth a warning.
pub const NETWORK_ASKED: &str = "HostNetworkConfig";

/// The name of our drop-in. Files of one name are merged over all drop-in directories (`systemd.unit(5)`), so the name
/// is one that nobody else uses, and sorts before an administrator's `override.conf`.
pub const DROP_IN: &str = "50-nixos-nspawn.conf";

/// Everything that the generator's directory is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files by path relative to the directory.
    pub files: BTreeMap<String, Entry>,
    /// The containers, ordered by name.
    pub containers: Vec<Planned>,
    /// The faults of files that name no container.
    pub faults: Vec<String>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file with this text.
    File(String),
    /// A symbolic link to this target.
    Link(Cow<'static, str>),
}

/// The decision for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: MachineName,
    /// Who manages it.
    pub kind: Kind,
    /// The hash of its settings, 32 hexadecimal digits, without links and comments; `None` if refused.
    pub hash: Option<String>,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// What does not keep it from starting: conflicts with others, a cycle in the order.
    pub warnings: Vec<String>,
    /// Why its start is refused, with path, line and field; one line.
    pub refusal: Option<String>,
}

/// Returns the plan for everything that was loaded.
///
/// ```
/// use nixos_nspawn_units::intent::Intent;
/// use nixos_nspawn_units::name::MachineName;
/// use nixos_nspawn_units::plan::plan;
/// use nixos_nspawn_units::store::{Kind, Loaded, Stored};
///
/// let name: MachineName = "web".parse()?;
/// let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web".parse()?;
/// let intent = Intent::new(name.clone(), toplevel);
/// let path = "/etc/nixos-nspawn/web.json".to_owned();
/// let loaded = Loaded { intents: vec![Stored { name, kind: Kind::Imperative, path, intent }], ..Loaded::default() };
///
/// let plan = plan(&loaded);
/// assert!(plan.files.contains_key("nixos-nspawn/web.nspawn"));
/// assert!(plan.files.contains_key("systemd-nspawn@web.service.d/50-nixos-nspawn.conf"));
/// assert_eq!(plan.containers[0].refusal, None);
/// # Ok::<(), nixos_nspawn_units::invalid::Invalid>(())
/// ```
pub fn plan(loaded: &Loaded) -> Plan {
    let intents = || loaded.intents.iter().map(|stored| (&stored.name, &stored.intent));
    let conflicts = conflicts(intents());
    let limited = BootLimit::takes_turns(&loaded.host);
    // A refused container takes no turn, so that nothing of others depends on it. Only then each is rendered twice.
    let usable = |intent: &Intent| {
        !limited || nspawn_file(intent).is_ok_and(|file| unmet(&file, loaded.host.systemd).is_none())
    };
    let order = Order::of(intents().filter(|(_, intent)| usable(intent)), limited);
    let limit = BootLimit::of(&loaded.host, || {
        let autostart: BTreeSet<&MachineName> =
            intents().filter(|(_, intent)| intent.starts_at_boot()).map(|(name, _)| name).collect();
        order.at_boot(|name| autostart.contains(name))
    });
    let host = Surroundings { systemd: loaded.host.systemd, order, limit };
    let mut plan = Plan::default();
    plan.containers.reserve(loaded.intents.len() + loaded.errors.len());
    for stored in &loaded.intents {
        let mut warnings = conflicts.get(&stored.name).cloned().unwrap_or_default();
        warnings.extend(host.order.warning(&stored.name));
        let planned = match accepted(&mut plan.files, stored, &warnings, &host) {
            Ok(hash) => Planned {
                name: stored.name.clone(),
                kind: stored.kind,
                hash: Some(hash),
                autostart: stored.intent.starts_at_boot(),
                warnings,
                refusal: None,
            },
            Err(reason) => {
                let reason = format!("{}: {reason}", stored.path);
                refused(
                    &mut plan.files,
                    &stored.name,
                    stored.kind,
                    &stored.path,
                    &reason,
                    stored.intent.starts_at_boot(),
                )
            }
        };
        plan.containers.push(planned);
    }
    for error in &loaded.errors {
        match &error.name {
            Some(name) if !error.shadowed => {
                let reason = error.to_string();
                plan.containers.push(refused(
                    &mut plan.files,
                    name,
                    error.kind,
                    &error.path,
                    &reason,
                    error.autostart,
                ));
            }
            _ => plan.faults.push(error.to_string()),
        }
    }
    for (path, mut unit) in host.limit.units() {
        unit.comment("Written by nixos-nspawn-generator(8) for bootLimit of /etc/nixos-nspawn/host.json.");
        plan.files.insert(path, Entry::File(unit.text()));
    }
    plan.containers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    plan.faults.sort();
    plan
}

/// What a container's files depend on besides its intent.
struct Surroundings<'a> {
    systemd: u32,
    order: Order<'a>,
    limit: BootLimit<'a>,
}

/// Adds the files of a good intent; returns its hash, or why it is refused.
fn accepted(
    files: &mut BTreeMap<String, Entry>,
    stored: &Stored,
    warnings: &[String],
    host: &Surroundings,
) -> Result<String, String> {
    let Stored { name, intent, kind: _, path } = stored;
    // The types of an intent exclude everything without an escaped form; should they not, it is refused.
    let unwritable = |error: EscapeError| error.to_string();
    let mut nspawn = nspawn_file(intent).map_err(unwritable)?;
    if let Some(unmet) = unmet(&nspawn, host.systemd) {
        return Err(format!("{unmet} ({HOST_FILE})"));
    }
    let mut unit = drop_in(name, intent, path).map_err(unwritable)?;
    let sockets = sockets(name, intent, path).map_err(unwritable)?;
    if let Some(HostEnd { file_name, file: mut network, zone }) =
        host_end(name, &intent.container, host.systemd)
    {
        // The hash for any host, which ctl can compute without knowing the host.
        let hash = host_end(name, &intent.container, 0)
            .map(|end| plan_hash(std::iter::once(&end.file)))
            .unwrap_or_default();
        network.comment(format!("{MARKER}{hash}"));
        match zone {
            // The same text for all containers of the zone.
            Some(zone) => header(&mut network, &format!("the containers of zone '{zone}'")),
            None => header(&mut network, path),
        }
        // Tells `--prepare` which file to wait for while a daemon-reload fills the directory; nspawn skips it.
        let extension = nspawn.section(EXTENSION);
        extension.set(NETWORK_HASH, hash);
        extension.set(NETWORK_NAME, file_name.as_str());
        if intent.container.host_network_config.is_some() {
            extension.set(NETWORK_ASKED, "yes");
        }
        files.insert(format!("{OWN_DIRECTORY}/{file_name}"), Entry::File(network.text()));
    }
    // The hash leaves out what depends on other containers, so that a change in another container does not look like
    // one here.
    let of_sockets = sockets.iter().flat_map(|socket| [&socket.socket_file, &socket.service_file]);
    let hash = plan_hash([&nspawn, &unit].into_iter().chain(of_sockets));
    for other in waits_for(intent).filter(|other| host.order.leaves_out(name, other)) {
        unit.sections.iter_mut().for_each(|section| {
            section.remove_value("After", &other.unit());
        });
    }
    host.limit.apply(name, &mut unit);
    nspawn.comment(format!("{MARKER}{hash}"));
    header(&mut nspawn, path);
    header(&mut unit, path);
    for warning in warnings {
        unit.comment(format!("warning: {warning}"));
    }
    if let Some(service) = unit.sections.iter_mut().find(|section| section.name == "Service") {
        service.set("Environment", format!("{PLAN_VARIABLE}={hash}"));
    }
    files.insert([OWN_DIRECTORY, "/", name.as_str(), ".nspawn"].concat(), Entry::File(nspawn.text()));
    files.insert([&unit_name(name), ".d/", DROP_IN].concat(), Entry::File(unit.text()));
    if intent.starts_at_boot() {
        wants(files, name);
    }
    for socket in sockets {
        socket_units(files, name, path, socket);
    }
    Ok(hash)
}

/// Adds the files of a forward by a socket, and the link that starts it: with the container, or with the host's other
/// sockets.
fn socket_units(files: &mut BTreeMap<String, Entry>, name: &MachineName, path: &str, socket: Socket) {
    let Socket { unit, service, start_on_connect, host_side: _, mut socket_file, mut service_file } = socket;
    header(&mut socket_file, path);
    header(&mut service_file, path);
    let wants = if start_on_connect {
        format!("sockets.target.wants/{unit}")
    } else {
        format!("{}.wants/{unit}", unit_name(name))
    };
    files.insert(wants, Entry::Link(Cow::Owned(format!("../{unit}"))));
    files.insert(unit, Entry::File(socket_file.text()));
    files.insert(service, Entry::File(service_file.text()));
}

/// Adds the files of a refused intent: it stays visible and starts nothing.
fn refused(
    files: &mut BTreeMap<String, Entry>,
    name: &MachineName,
    kind: Kind,
    path: &str,
    reason: &str,
    autostart: bool,
) -> Planned {
    let mut unit = refusing_drop_in(name, path).unwrap_or_default();
    header(&mut unit, path);
    unit.comment(format!("refused: {reason}"));
    let refusal = format!(
        "{reason}, container '{name}' is not started; correct the file, then run 'systemctl daemon-reload'\n"
    );
    files.insert(format!("{}.d/{DROP_IN}", unit_name(name)), Entry::File(unit.text()));
    files.insert(format!("{OWN_DIRECTORY}/{name}.refused"), Entry::File(refusal));
    if autostart {
        wants(files, name);
    }
    Planned {
        name: name.clone(),
        kind,
        hash: None,
        autostart,
        warnings: Vec::new(),
        refusal: Some(reason.to_owned()),
    }
}

fn header(file: &mut UnitFile, path: &str) {
    file.comment(format!("Written by nixos-nspawn-generator(8) from {path}, changes here are lost."));
}

/// Adds the links that start the container with the host. machines.target may be off, and pulling it in would also
/// start foreign containers, so multi-user.target wants the container as well. The link's target only serves as a name.
fn wants(files: &mut BTreeMap<String, Entry>, name: &MachineName) {
    let unit = unit_name(name);
    for directory in ["machines.target.wants/", "multi-user.target.wants/"] {
        files.insert([directory, &unit].concat(), Entry::Link(Cow::Borrowed("../systemd-nspawn@.service")));
    }
}

/// Returns whether a path of the plan belongs to the container.
pub fn belongs_to(path: &str, name: &MachineName) -> bool {
    let unit = unit_name(name);
    path.starts_with(&format!("{unit}.d/"))
        || path.rsplit('/').next().and_then(container_of) == Some(name.as_str())
        || path.ends_with(&format!(".wants/{unit}"))
        || path == format!("{OWN_DIRECTORY}/{name}.nspawn")
        || path == format!("{OWN_DIRECTORY}/{name}.refused")
        || path == turn_unit(name)
        || path == format!("{OWN_DIRECTORY}/{}", network::file_name(name))
}

/// Returns the plan of one intent by itself, as the generator would write it.
pub fn plan_one(name: &MachineName, kind: Kind, path: &str, intent: &Intent) -> Plan {
    let stored = Stored { name: name.clone(), kind, path: path.to_owned(), intent: intent.clone() };
    // Only the plan of all containers can tell whether the host is too old.
    let host = Host { systemd: u32::MAX, ..Host::default() };
    plan(&Loaded { intents: vec![stored], host, ..Loaded::default() })
}

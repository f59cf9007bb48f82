//! Translates a `.nspawn` file (`systemd.nspawn(5)`), as `systemd-nspawn@.service` starts a container with it: what the file
//! leaves open is as the arguments of that unit say, a virtual Ethernet link and a user namespace.

use nixos_nspawn_units::intent::NIX_PARTS;
use nixos_nspawn_units::value::StorePath;
use systemd_unit_syntax::settings::setting;
use systemd_unit_syntax::words::bind_fields;
use systemd_unit_syntax::{InForce, UnitFile, effective};

use super::Translation;
use super::flags::users;
use super::mounts::{Said, bind};
use super::network::{NetworkSaid, settle_network};

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Nspawn {
    /// The options.
    pub(crate) translation: Translation,
    /// The system, if the file names it.
    pub(crate) system: Option<StorePath>,
    /// Why what the file starts is no NixOS.
    pub(crate) no_system: Option<String>,
}

/// Settings that have the same meaning for every container of ours.
const OURS: [&str; 6] = ["Boot", "KillSignal", "LinkJournal", "NotifyReady", "Parameters", "ProcessTwo"];

/// Settings that nspawn refuses for a system that boots.
const OF_PROGRAMS: [&str; 2] = ["User", "WorkingDirectory"];

/// The folder of the host's Nix daemon.
const DAEMON: &str = "/nix/var/nix/daemon-socket";

/// Translates a file.
pub(crate) fn translate(file: &UnitFile) -> Nspawn {
    let mut to = Nspawn::default();
    for (section, key, value) in file.settings() {
        let extension = section.starts_with("X-") || key.starts_with("X-");
        if setting(section, key).is_none() && !extension {
            to.translation.miss(format!("[{section}] {key}={value} is not a setting of systemd-nspawn"));
        }
    }
    let settings = effective(file);
    let value = |key: &str| {
        settings.iter().find(|one| one.key == key).and_then(|one| one.values.last()).map(String::as_str)
    };
    let private_users = value("PrivateUsers").unwrap_or("pick");
    users(private_users, &mut to.translation);
    let namespaced = private_users != "no";
    for one in settings.iter().filter(|one| one.section != "Network" && one.key != "PrivateUsers") {
        for value in &one.values {
            set(one, value, namespaced, &mut to.translation);
        }
    }
    network(&settings, &mut to.translation);
    started(&settings, &mut to);
    to
}

/// Translates a value of [Exec] or [Files].
fn set(InForce { section, key, .. }: &InForce, value: &str, namespaced: bool, to: &mut Translation) {
    match *key {
        key if OURS.contains(&key) => {}
        key if OF_PROGRAMS.contains(&key) => {
            to.miss(format!("{key}={value}: the first process is the system's, and root's"));
        }
        "Environment" => match value.split_once('=') {
            // A name with a dot would be a path of options.
            Some((variable, text)) if !variable.contains('.') => {
                to.set(&format!("environment.{variable}"), text);
            }
            _ => to.miss(format!("Environment={value} is not NAME=VALUE")),
        },
        "Capability" => to.push("capabilities.add", value),
        "DropCapability" => to.push("capabilities.drop", value),
        "Hostname" => to.set("hostname", value),
        "Timezone" => to.set("timezone", value),
        "ResolvConf" => to.set("resolvConf", value),
        "Ephemeral" => to.set("ephemeral", value == "yes"),
        "OOMScoreAdjust" => match value.parse::<i64>() {
            Ok(number) => to.set("oomScoreAdjust", number),
            Err(_) => to.miss(format!("OOMScoreAdjust={value} is not a number")),
        },
        "Bind" => mount(value, false, namespaced, to),
        "BindReadOnly" => mount(value, true, namespaced, to),
        "TemporaryFileSystem" => to.push("tmpfs", value),
        "Inaccessible" => to.push("inaccessiblePaths", value),
        // It has no effect without a user namespace, and otherwise this is ours.
        "PrivateUsersOwnership" if !namespaced || value == "auto" => {}
        key => {
            let option = format!("nspawnConfig.{section}.{key}");
            match setting(section, key).is_some_and(|known| known.list) {
                true => to.push(&option, value),
                false => to.set(&option, value),
            }
        }
    }
}

/// Translates a bind mount. One of the host's Nix is that of every container.
fn mount(value: &str, read_only: bool, namespaced: bool, to: &mut Translation) {
    let key = if read_only { "BindReadOnly=" } else { "Bind=" };
    let Ok(fields) = bind_fields(value) else { return to.miss(format!("{key}{value} cannot be read")) };
    if !fields.source.starts_with('/') {
        // A path of the root, or a temporary directory.
        let option = if read_only { "nspawnConfig.Files.BindReadOnly" } else { "bindMounts" };
        return to.push(option, value);
    }
    let destination = fields.destination.as_ref().unwrap_or(&fields.source).trim_end_matches('/');
    let same = fields.source.trim_end_matches('/') == destination;
    match NIX_PARTS.iter().find(|part| part.path == destination) {
        Some(part) if same && part.path == DAEMON => to.set("mountDaemonSocket", true),
        Some(_) if same && read_only => {}
        Some(_) => to.miss(format!("{key}{value}: every container sees the host's {destination}, read-only")),
        // What nspawn does if a mount does not say more.
        None => bind(Said { key, value, read_only, idmap: namespaced.then_some("noidmap") }, to),
    }
}

/// Translates [Network]. Any of its settings but ports replaces the link of the unit's arguments.
fn network(settings: &[InForce], to: &mut Translation) {
    let mut network = NetworkSaid::default();
    let mut said = false;
    for InForce { key, values, .. } in settings.iter().filter(|one| one.section == "Network") {
        said |= *key != "Port";
        for value in values {
            let on = value == "yes";
            let (own, pair) = match *key {
                "Port" => {
                    to.push("forwardPorts", value.as_str());
                    (false, false)
                }
                "Private" => (on, false),
                "VirtualEthernet" => (on, on),
                "Bridge" => {
                    to.set("bridge", value.as_str());
                    (true, true)
                }
                "Zone" => {
                    to.set("zone", value.as_str());
                    (true, true)
                }
                "NamespacePath" => {
                    network.namespace = true;
                    to.set("namespacePath", value.as_str());
                    (false, false)
                }
                key => {
                    let options = [
                        ("Interface", "interfaces"),
                        ("IPVLAN", "ipvlan"),
                        ("MACVLAN", "macvlan"),
                        ("VirtualEthernetExtra", "extraVeths"),
                    ];
                    match options.iter().find(|(setting, _)| *setting == key) {
                        Some((_, option)) => to.push(option, value.as_str()),
                        None => to.miss(format!("{key}={value}")),
                    }
                    (true, false)
                }
            };
            network.own |= own;
            network.pair |= pair;
        }
    }
    if !said {
        (network.own, network.pair) = (true, true);
    }
    settle_network(network, "Port=", to);
}

/// Finds out what is started: the init of the root, or of a system in the store.
fn started(settings: &[InForce], to: &mut Nspawn) {
    let values = |key: &str| settings.iter().find(|one| one.key == key).map(|one| one.values.as_slice());
    let mut words = values("Parameters").unwrap_or_default();
    if values("ProcessTwo").is_some() {
        to.no_system = Some("ProcessTwo=yes runs a program, not a system".to_owned());
        return;
    }
    if values("Boot").and_then(<[String]>::last).is_some_and(|value| value == "no") {
        let Some((init, rest)) = words.split_first().filter(|(init, _)| init.ends_with("/init")) else {
            to.no_system = Some("Boot=no runs a program, not a system".to_owned());
            return;
        };
        to.system = init.strip_suffix("/init").and_then(|system| system.parse().ok());
        words = rest;
    }
    if !words.is_empty() {
        to.translation.miss(format!("Parameters={}: the init gets no arguments", words.join(" ")));
    }
}

//! The output of python-nixos-nspawn 0.11 for a number of containers, one directory of tests/golden/reference each, and
//! the settings in force by its files, normalized so that files with the same meaning are equal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::nspawn::host_nix::HOST_NIX;
use serde_json::Value;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::words::bind_fields;
use systemd_unit_syntax::{UnitFile, effective, parse};

const NIX_DATABASE: &str = "/nix/var/nix/db";
const DAEMON_SOCKET: &str = "/nix/var/nix/daemon-socket";

/// One container.
pub struct Case {
    /// The name of the case.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The name of the container.
    pub container: String,
}

/// Returns all cases, sorted by name.
pub fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/reference");
    let mut cases: Vec<Case> = fs::read_dir(&dir)
        .expect("reference cases")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .map(|dir| Case {
            name: dir.file_name().expect("a name").to_string_lossy().into_owned(),
            container: json(&dir.join("input.json"))["name"].as_str().expect("a name").to_owned(),
            dir,
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "no reference cases");
    cases
}

/// Reads a file of a case as JSON.
pub fn json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Reads a unit file of a case.
pub fn unit_file(path: &Path) -> UnitFile {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display())).file
}

/// Settings by section and name.
pub type Settings = BTreeMap<String, Vec<String>>;

/// Returns the settings in force after nspawn has merged the file with the template's command line, without those
/// that cannot have an effect.
pub fn in_force(file: &UnitFile) -> Settings {
    let mut settings: Settings =
        effective(file).into_iter().map(|s| (format!("[{}] {}", s.section, s.key), s.values)).collect();
    let last = |settings: &Settings, key: &str| settings.get(key).and_then(|values| values.last().cloned());
    let on = |value: Option<String>| value.is_some_and(|value| parse_boolean(&value) == Some(true));
    let namespaced =
        last(&settings, "[Exec] PrivateUsers").is_some_and(|value| parse_boolean(&value) != Some(false));
    if !namespaced {
        // Ownership has no effect without a user namespace; python-nixos-nspawn always writes chown.
        settings.remove("[Files] PrivateUsersOwnership");
    }
    if let Some(read_only) = settings.get_mut("[Files] BindReadOnly") {
        // Every container of ours sees Nix's database. Without it, as in python-nixos-nspawn, garbage collectors inside
        // deleted the host's store.
        read_only
            .retain(|value| bind_fields(value).is_ok_and(|f| f.destination.as_deref() != Some(NIX_DATABASE)));
    }
    // The directory of the daemon's socket is read-only in every container of ours, so that nobody inside can put a socket
    // of their own in the daemon's place.
    if let Some(binds) = settings.remove("[Files] Bind") {
        let (sockets, binds): (Vec<String>, Vec<String>) = binds.into_iter().partition(|value| {
            bind_fields(value).is_ok_and(|f| f.destination.as_deref() == Some(DAEMON_SOCKET))
        });
        for (key, values) in [("[Files] BindReadOnly", sockets), ("[Files] Bind", binds)] {
            if !values.is_empty() {
                settings.entry(key.to_owned()).or_default().extend(values);
            }
        }
    }
    for key in ["[Files] Bind", "[Files] BindReadOnly"] {
        for value in settings.get_mut(key).into_iter().flatten() {
            *value = mapping_left_out(value, namespaced);
        }
        settings.entry(key.to_owned()).and_modify(|values| values.sort());
    }
    // Any of these settings replaces the template's --network-veth; see merge_settings() in nspawn.c.
    let deciding = [
        "Private",
        "VirtualEthernet",
        "VirtualEthernetExtra",
        "Bridge",
        "Zone",
        "Interface",
        "MACVLAN",
        "IPVLAN",
    ];
    let given = |settings: &Settings, key: &str| settings.contains_key(&format!("[Network] {key}"));
    let veth = on(last(&settings, "[Network] VirtualEthernet"))
        || ["Bridge", "Zone"].iter().any(|key| given(&settings, key));
    let private = veth
        || on(last(&settings, "[Network] Private"))
        || deciding[2..].iter().any(|key| given(&settings, key));
    let untouched = !deciding.iter().any(|key| given(&settings, key));
    for (key, value) in [("Private", private), ("VirtualEthernet", veth)] {
        settings.insert(format!("[Network] {key}"), vec![(value || untouched).to_string()]);
    }
    settings
}

/// Removes the id mapping of a bind mount where we differ on purpose:
/// - without a user namespace, nspawn fails to start on it (EINVAL from 252 to 262), so we omit it;
/// - with one, python-nixos-nspawn maps the store and the profiles only for userNamespacing, and they belong to nobody
///   if PrivateUsers= is set by other means; we always map them;
/// - and without one, ours mounts what `--prepare` has locked for the container.
fn mapping_left_out(value: &str, namespaced: bool) -> String {
    let fields = bind_fields(value).expect("effective() lets only good ones through");
    let destination = fields.destination.as_deref().unwrap_or(&fields.source);
    let locked = fields.source.starts_with(&format!("/{HOST_NIX}/"));
    let source = if locked { destination } else { &fields.source };
    let of_nix = source.starts_with("/nix/");
    if namespaced && !of_nix {
        return value.to_owned();
    }
    let options = fields.options.as_deref().unwrap_or_default().split(',');
    let kept: Vec<&str> =
        options.filter(|option| !matches!(*option, "" | "idmap" | "rootidmap" | "owneridmap")).collect();
    format!("{source}:{destination}:{}", kept.join(","))
}

//! Names: whether the host finds containers by theirs, and whether they collide with something.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nixos_nspawn_units::conflict::conflicts;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;
use crate::host::files::{absent, names_in};

/// How the host looks names up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The services for `hosts:` in nsswitch.conf; `None` if there is no such line.
    pub(crate) services: Seen<Option<Vec<String>>>,
    /// Whether the module is where the C library looks for it; `None` if the place is not known.
    pub(crate) module: Option<bool>,
    /// Whether a container has a network of its own, so that its name means something.
    pub(crate) needed: bool,
}

/// The file name of the module.
const MODULE: &str = "libnss_mymachines.so.2";

impl Lookup {
    /// Looks at nsswitch.conf and the module.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        // On NixOS, files in /etc are links.
        let path = host.directory("/etc/nsswitch.conf");
        let services = match fs::read_to_string(&path) {
            Ok(text) => Ok(services(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unseen::path(&path, &error)),
        };
        let private = |one: &crate::fact::overview::Container| {
            one.intent.as_ref().is_some_and(|intent| intent.container.has_virtual_ethernet())
        };
        // NixOS loads modules through nscd.
        let nixos = host.path("/etc/NIXOS").exists();
        Self {
            services,
            module: if nixos { None } else { has_module(host) },
            needed: overview.containers.values().any(private),
        }
    }
}

/// Returns the services of the line `hosts:`, without actions such as `[NOTFOUND=return]` (`nsswitch.conf(5)`).
fn services(text: &str) -> Option<Vec<String>> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"))?;
    let line = line.split('#').next().unwrap_or_default();
    let mut words = Vec::new();
    let mut action = false;
    for word in line.split_whitespace() {
        action |= word.starts_with('[');
        if !action {
            words.push(word.to_owned());
        }
        action &= !word.ends_with(']');
    }
    Some(words)
}

/// Returns whether the module is in a directory of libraries, also one for an architecture; `None` if that cannot be told.
fn has_module(host: &Host) -> Option<bool> {
    let tops = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"];
    let mut all_seen = true;
    for top in tops.iter().map(|top| host.directory(top)) {
        let names = names_in(&top);
        all_seen &= names.is_ok();
        let triples = names.unwrap_or_default().into_iter().filter(|name| name.contains("-linux-"));
        let found = |folder: &Path| folder.join(MODULE).symlink_metadata().is_ok();
        if found(&top) || triples.into_iter().any(|name| found(&top.join(name))) {
            return Some(true);
        }
    }
    all_seen.then_some(false)
}

/// Names that mean several things.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Collisions {
    /// The names of all containers.
    pub(crate) names: Vec<MachineName>,
    /// The name of the host.
    pub(crate) host: String,
    /// Names in /etc/hosts.
    pub(crate) hosts: Vec<String>,
    /// Files of the same name in both directories: what the generator says.
    pub(crate) twice: Vec<String>,
    /// Interfaces and ports that several containers want: the container, and what the generator says.
    pub(crate) shared: Vec<(MachineName, String)>,
    /// Other people's .nspawn files for our containers.
    pub(crate) foreign: Vec<(MachineName, String)>,
    /// What could not be looked at.
    pub(crate) unseen: Vec<Unseen>,
}

impl Collisions {
    /// Looks for them.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let loaded = host.load();
        let mut unseen = Vec::new();
        let mut read = |path: &str| match fs::read_to_string(host.directory(path)) {
            Ok(text) => text,
            Err(error) => {
                unseen.extend((!absent(&error)).then(|| Unseen::path(Path::new(path), &error)));
                String::new()
            }
        };
        let own = read(if host.live() { "/proc/sys/kernel/hostname" } else { "/etc/hostname" });
        let hosts = read("/etc/hosts");
        let recorded = overview.containers.values().filter(|one| one.intent_file.is_some());
        let names: Vec<MachineName> = recorded.map(|one| one.name.clone()).collect();
        let mut foreign = Vec::new();
        for name in &names {
            let path = format!("{}/{name}.nspawn", host.scope.nspawn_files[0]);
            match host.path(&path).symlink_metadata() {
                Ok(_) => foreign.push((name.clone(), path)),
                Err(error) if absent(&error) => {}
                Err(error) => unseen.push(Unseen::path(Path::new(&path), &error)),
            }
        }
        let intents = loaded.intents.iter().map(|stored| (&stored.name, &*stored.intent));
        let shared = conflicts(intents).into_iter();
        Self {
            host: own.trim().to_owned(),
            hosts: hosts.lines().flat_map(hosts_of).collect(),
            twice: loaded.errors.iter().filter(|one| one.shadowed).map(ToString::to_string).collect(),
            shared: shared
                .flat_map(|(name, texts)| texts.into_iter().map(|text| (name.clone(), text)))
                .collect(),
            foreign,
            unseen,
            names,
        }
    }
}

/// Returns the names in a line of hosts(5).
fn hosts_of(line: &str) -> Vec<String> {
    let line = line.split('#').next().unwrap_or_default();
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_nsswitch() {
        let words = |text: &str| services(text).map(|words| words.join(" "));
        let text = "passwd: files\n hosts:  mymachines resolve [!UNAVAIL=return] files # x\n";
        assert_eq!(words(text).as_deref(), Some("mymachines resolve files"));
        assert_eq!(words("hosts: files [SUCCESS=return NOTFOUND=return] dns").as_deref(), Some("files dns"));
        assert_eq!(words("passwd: files\n#hosts: files\n"), None);
    }

    #[test]
    fn lines_of_hosts() {
        assert_eq!(hosts_of("127.0.0.1 localhost web # db"), ["localhost", "web"]);
        assert!(hosts_of("# 127.0.0.1 x").is_empty());
    }

    #[test]
    fn links_of_an_offline_tree_stay_in_it() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("nix/store/x/nsswitch.conf", "hosts: mymachines files\n");
        put("nix/store/x/hosts", "127.0.0.2 web\n");
        put("etc/nixos-nspawn/host.json", "{}");
        for name in ["nsswitch.conf", "hosts"] {
            let target = format!("/nix/store/x/{name}");
            std::os::unix::fs::symlink(target, root.path().join("etc").join(name)).unwrap();
        }
        let host = Host::open(root.path(), false, Box::new(|_| {})).unwrap();
        let overview = Overview::gather(&host).unwrap();
        let words = Lookup::look(&host, &overview).services.unwrap().unwrap();
        assert_eq!(words, ["mymachines", "files"]);
        assert_eq!(Collisions::look(&host, &overview).hosts, ["web"]);
        // A name that cannot be read is not absent.
        fs::remove_file(root.path().join("etc/hosts")).unwrap();
        fs::create_dir(root.path().join("etc/hosts")).unwrap();
        let unseen = Collisions::look(&host, &overview).unseen;
        assert!(unseen.len() == 1 && unseen[0].why.contains("/etc/hosts"), "{unseen:?}");
    }
}

//! Records of killed commands, garbage collector roots, and what commands left behind.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::{NETWORK_DIRECTORY, intended, leftover_networks, leftovers};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;
use nixos_nspawn_units::value::StorePath;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::{Container, Overview};
use crate::fact::traces::busy;
use crate::host::files::{absent, names_in};
use crate::host::pending::pending;
use crate::host::profile_links::{left_ahead, profile_link};
use crate::host::runtime_files;
use crate::host::unit_links::system_path;

/// Returns the containers that a command is changing or has left incomplete; an error if the records cannot be read.
pub(crate) fn records<'a>(host: &Host, overview: &'a Overview) -> Seen<Vec<&'a Container>> {
    pending(host).map_err(Unseen::from)?;
    Ok(overview.containers.values().filter(|container| container.unfinished.is_some()).collect())
}

/// The garbage collector roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RootsSeen {
    /// Whether all containers are known: without any imperative one, their directory may not be mounted.
    pub(crate) all_known: bool,
    /// The number of recorded systems that need a root.
    pub(crate) recorded: usize,
    /// Recorded systems without a root.
    pub(crate) missing: Vec<MachineName>,
    /// Recorded systems that are gone from the store.
    pub(crate) gone: Vec<(MachineName, StorePath)>,
    /// Roots of containers that are not recorded.
    pub(crate) unused: Vec<String>,
    /// The number of pins.
    pub(crate) pins: usize,
    /// Pins of recorded containers that are gone from the store.
    pub(crate) dangling: Vec<(MachineName, u64)>,
    /// What has the name of a pin of a recorded container, but does not link to a path in the store.
    pub(crate) strange: Vec<String>,
}

impl RootsSeen {
    /// Looks at the roots.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Seen<Self> {
        let all_known = !overview.faults.iter().any(|fault| fault.hides)
            && overview
                .containers
                .values()
                .any(|one| one.kind == Kind::Imperative && one.intent_file.is_some());
        let mut seen = Self { all_known, ..Self::default() };
        let folder = host.gc_roots();
        let names = names_in(&folder)?;
        // An offline tree may have no store.
        let store = host.path("/nix/store").is_dir();
        let gone =
            |path: &str| store && host.path(path).symlink_metadata().is_err_and(|error| absent(&error));
        for (name, intent) in recorded(overview) {
            seen.recorded += 1;
            let link = folder.join(name.as_str());
            let target = match fs::read_link(&link) {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(Unseen::path(&link, &error));
                }
                target => target.ok(),
            };
            if gone(intent.toplevel.as_str()) {
                seen.gone.push((name.clone(), intent.toplevel.clone()));
            } else if target.as_deref() != Some(Path::new(intent.toplevel.as_str())) {
                seen.missing.push(name.clone());
            }
        }
        for file in &names {
            let Some(root) = Root::of(file) else { continue };
            if let Root::Pin(name, number) = &root {
                seen.pins += 1;
                let path = folder.join(file);
                let target = fs::read_link(&path).ok().and_then(|target| target.to_str()?.parse().ok());
                // Others cannot be unpinned; they are unused, or the check of the intents says why.
                let own = recorded(overview).any(|(known, _)| known == name);
                match target {
                    Some::<StorePath>(target) if own && gone(target.as_str()) => {
                        seen.dangling.push((name.clone(), *number));
                    }
                    None if own => seen.strange.push(system_path(host, &path)),
                    _ => {}
                }
            }
            // What runs is kept by others as well, and leftovers of stopped ones are litter.
            let unused = !matches!(root, Root::Running(_)) && !intended(&host.root, root.name());
            if unused && !overview.containers.contains_key(root.name()) {
                seen.unused.push(system_path(host, &folder.join(file)));
            }
        }
        Ok(seen)
    }
}

/// Returns the imperative containers with their intents. Others are rooted by the host's configuration.
fn recorded(
    overview: &Overview,
) -> impl Iterator<Item = (&MachineName, &nixos_nspawn_units::intent::Intent)> {
    let own = overview.containers.values().filter(|one| one.kind == Kind::Imperative);
    own.filter_map(|one| Some((&one.name, one.intent.as_ref()?)))
}

/// What a file in the directory of roots is for.
enum Root {
    /// The recorded system.
    Recorded(MachineName),
    /// The running system.
    Running(MachineName),
    /// A pinned generation.
    Pin(MachineName, u64),
}

impl Root {
    fn of(file: &str) -> Option<Self> {
        if let Some(name) = file.strip_suffix("-running").and_then(|name| name.parse().ok()) {
            return Some(Self::Running(name));
        }
        let pin = || {
            let (name, number) = file.rsplit_once("-pin-")?;
            Some(Self::Pin(name.parse().ok()?, number.parse().ok()?))
        };
        // MachineName rejects names of these forms.
        pin().or_else(|| Some(Self::Recorded(file.parse().ok()?)))
    }

    fn name(&self) -> &MachineName {
        match self {
            Self::Recorded(name) | Self::Running(name) | Self::Pin(name, _) => name,
        }
    }
}

/// What was left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LitterSeen {
    /// Files and links that are ours, and that the next command or `--fix` removes.
    pub(crate) ours: Vec<String>,
    /// Half deleted state, which goes at the next boot.
    pub(crate) doomed: Vec<String>,
    /// Why half deleted state could not be looked for.
    pub(crate) unseen: Option<Unseen>,
}

impl LitterSeen {
    /// Looks for it.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let mut ours: Vec<PathBuf> = Vec::new();
        // A command that is running needs its temporary files.
        let free = |name: &MachineName| busy(host, name).is_none();
        ours.extend(
            runtime_files::unfinished(host).into_iter().filter(|(name, _)| free(name)).map(|(_, path)| path),
        );
        for directory in profile_directories(host, overview) {
            let below = host.directory(&directory);
            ours.extend(left_ahead(host, &directory).into_iter().map(|name| below.join(name)));
        }
        if host.live() {
            let kept = |name: &MachineName| intended(&host.root, name);
            ours.extend(leftovers(&host.root, kept));
            ours.extend(
                leftover_networks(&host.root, kept)
                    .into_iter()
                    .map(|file| host.root.join(NETWORK_DIRECTORY).join(file)),
            );
        }
        let machines = host.machines();
        let (names, unseen) = match names_in(&machines) {
            Ok(names) => (names, None),
            Err(error) => (Vec::new(), Some(error.into())),
        };
        let doomed = names.into_iter().filter(|name| name.starts_with(".#") && name.ends_with(".removed"));
        Self {
            ours: ours.iter().map(|path| system_path(host, path)).collect(),
            doomed: doomed.map(|name| system_path(host, &machines.join(name))).collect(),
            unseen,
        }
    }
}

/// Returns the directories of the profiles of imperative containers.
pub(crate) fn profile_directories(host: &Host, overview: &Overview) -> Vec<PathBuf> {
    let directory = |(name, intent): (&MachineName, &nixos_nspawn_units::intent::Intent)| {
        profile_link(host, name, intent).parent().map(Path::to_owned)
    };
    recorded(overview).filter_map(directory).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::testing::{Played, store_path};

    #[test]
    fn roots_and_pins() {
        let played = Played::new();
        played.record();
        let host = &played.host;
        let overview = Overview::gather(host).unwrap();
        let look = || RootsSeen::look(host, &overview).unwrap();
        assert_eq!((look().recorded, look().missing), (1, vec!["web".parse().unwrap()]));
        let roots = host.gc_roots();
        fs::create_dir_all(&roots).unwrap();
        let link = |name: &str, target: &str| std::os::unix::fs::symlink(target, roots.join(name)).unwrap();
        link("web", &store_path("one"));
        link("web-pin-1", &store_path("one"));
        assert_eq!(look(), RootsSeen { all_known: true, recorded: 1, pins: 1, ..RootsSeen::default() });
        link("web-pin-2", &store_path("none"));
        link("db-pin-1", &store_path("none"));
        link("db", &store_path("one"));
        let seen = look();
        assert_eq!((seen.pins, seen.dangling), (3, vec![("web".parse().unwrap(), 2)]));
        let unused = ["db", "db-pin-1"].map(|name| format!("/nix/var/nix/gcroots/nixos-nspawn/{name}"));
        assert_eq!(seen.unused, unused);
        link("web-pin-3", "elsewhere");
        assert_eq!(look().strange, ["/nix/var/nix/gcroots/nixos-nspawn/web-pin-3"]);
        fs::remove_file(roots.join("web-pin-3")).unwrap();
        fs::rename(played.intent(), host.path("/etc/kept.json")).unwrap();
        let empty = RootsSeen::look(host, &Overview::gather(host).unwrap()).unwrap();
        assert!(!empty.all_known && empty.unused.len() == 5, "{empty:?}");
        fs::rename(host.path("/etc/kept.json"), played.intent()).unwrap();
        fs::remove_dir_all(host.path(store_path("one"))).unwrap();
        assert_eq!(look().gone, [("web".parse().unwrap(), store_path("one").parse().unwrap())]);
    }

    #[test]
    fn what_is_left_behind() {
        let played = Played::new();
        played.record();
        let host = &played.host;
        let overview = Overview::gather(host).unwrap();
        assert_eq!(LitterSeen::look(host, &overview), LitterSeen::default());
        let put = |path: &str| {
            let path = host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        put("/etc/nixos-nspawn/.web.json.new");
        put("/run/nixos-nspawn/devices/gone/null");
        put("/var/lib/machines/.#gone.removed/x");
        let seen = LitterSeen::look(host, &overview);
        assert_eq!(seen.ours, ["/etc/nixos-nspawn/.web.json.new", "/run/nixos-nspawn/devices/gone"]);
        assert_eq!(seen.doomed, ["/var/lib/machines/.#gone.removed"]);
        // A command is running: its program has our name.
        let program = host.path("/run/nixos-nspawn-test");
        std::os::unix::fs::symlink(crate::host::files::which("sleep", &[]).unwrap(), &program).unwrap();
        let mut command = std::process::Command::new(&program).arg0("sleep").arg("60").spawn().unwrap();
        let pid = host.path("/run/nixos-nspawn/web.pid");
        fs::write(&pid, format!("{}\n", command.id())).unwrap();
        // The kernel gives it the name a moment after the parent goes on.
        let end = Instant::now() + Duration::from_secs(10);
        while busy(host, &crate::testing::web()).is_none() && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(LitterSeen::look(host, &overview).ours, ["/run/nixos-nspawn/devices/gone"]);
        command.kill().unwrap();
        command.wait().unwrap();
        // The command was killed, or its number is that of another program.
        for dead in [format!("{}\n", command.id()), "1\n".to_owned()] {
            fs::write(&pid, dead).unwrap();
            assert_eq!(LitterSeen::look(host, &overview).ours.len(), 2);
        }
    }
}

//! The host that operations work on: a file tree, the programs to call, and the receiver of events. It is the running
//! system or an offline tree; tests use a temporary tree and scripted programs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::copies::{NETWORK_DIRECTORY, NSPAWN_DIRECTORY};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::files::{BINDS, DEVICES};
use nixos_nspawn_units::nspawn::host_nix::HOST_NIX;
use nixos_nspawn_units::store::{Loaded, Trust, load, load_some};

use crate::base::call::{Machine, Programs};
use crate::base::config::{Config, PROFILES};
use crate::base::config_files::Trust as ConfigTrust;
use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::jail;
use crate::base::program::Program;
use crate::base::scope::Scope;

/// The host.
pub(crate) struct Host {
    /// The root of the tree, `/` on the running system.
    pub(crate) root: PathBuf,
    /// Whether it is the running system, where systemd and Nix are available.
    pub(crate) live: bool,
    /// Whose containers are managed.
    pub(crate) scope: Scope,
    /// Whether program calls are shown.
    pub(crate) verbose: bool,
    /// The administrator's defaults.
    pub(crate) config: Config,
    /// Runs programs.
    pub(crate) programs: Box<dyn Programs>,
    /// Receives events.
    pub(crate) watcher: Box<dyn Fn(Event)>,
}

/// What another thread needs for a host of its own.
pub(crate) struct Parts {
    root: PathBuf,
    live: bool,
    scope: Scope,
    verbose: bool,
    config: Config,
}

impl Host {
    /// Returns what another thread needs.
    pub(crate) fn parts(&self) -> Parts {
        let Self { root, live, scope, verbose, config, programs: _, watcher: _ } = self;
        Parts { root: root.clone(), live: *live, scope: *scope, verbose: *verbose, config: config.clone() }
    }

    /// Returns the same host with another receiver of events.
    pub(crate) fn of_parts(parts: Parts, watcher: Box<dyn Fn(Event)>) -> Self {
        let Parts { root, live, scope, verbose, config } = parts;
        Self { root, live, scope, verbose, config, programs: Box::new(Machine), watcher }
    }

    /// Opens the running system (`/`) or an offline tree. A fault in the administrator's defaults is an error.
    pub(crate) fn open(root: &Path, verbose: bool, watcher: Box<dyn Fn(Event)>) -> Result<Self> {
        Self::open_with(root, verbose, watcher, Config::read)
    }

    /// Does the same for a command that changes nothing: faults in the administrator's defaults are reported.
    pub(crate) fn open_to_read(root: &Path, verbose: bool, watcher: Box<dyn Fn(Event)>) -> Result<Self> {
        let mut faults = Vec::new();
        let host = Self::open_with(root, verbose, watcher, |root, scope, trust| {
            let (config, ignored) = Config::read_good(root, scope, trust)?;
            faults = ignored;
            Ok(config)
        })?;
        for text in faults {
            host.report(Event::DefaultIgnored { text });
        }
        Ok(host)
    }

    fn open_with(
        root: &Path,
        verbose: bool,
        watcher: Box<dyn Fn(Event)>,
        config: impl FnOnce(&Path, &Scope, ConfigTrust) -> Result<Config>,
    ) -> Result<Self> {
        if !root.is_dir() {
            return Err(Failed::Usage(format!("{}: --root is not a directory", root.display())).into());
        }
        let root = root.canonicalize()?;
        let live = root == Path::new("/");
        let scope = Scope::SYSTEM;
        inside(&root, &scope)?;
        let trust = if live { ConfigTrust::Owner(scope.owner) } else { ConfigTrust::Anybody };
        let config = config(&root, &scope, trust)?;
        Ok(Self { root, live, scope, verbose, config, programs: Box::new(Machine), watcher })
    }

    /// Returns whether the tree is the running system.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Returns an absolute path of the system prefixed with the root. Links of an offline tree do not lead out of it.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match self.live {
            true => self.root.join(path.strip_prefix("/").unwrap_or(path)),
            false => jail::inside(&self.root, path),
        }
    }

    /// Like `path`, for a directory whose entries are used: a link in the last component is followed as well.
    pub(crate) fn directory(&self, path: impl AsRef<Path>) -> PathBuf {
        match self.live {
            true => self.path(path),
            false => jail::directory(&self.root, path.as_ref()),
        }
    }

    /// Returns the directory of intents and records.
    pub(crate) fn intents(&self) -> PathBuf {
        self.directory(self.scope.intents)
    }

    /// Returns the directory of the containers' root directories.
    pub(crate) fn machines(&self) -> PathBuf {
        self.directory(self.scope.machines)
    }

    /// Returns the directory of locks and of state kept until the next boot.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.directory(self.scope.runtime)
    }

    /// Returns the directory in which `systemctl enable` and `mask` make their links.
    pub(crate) fn unit_links(&self) -> PathBuf {
        self.directory(self.scope.unit_links)
    }

    /// Returns the file in which systemd-machined registers a machine.
    pub(crate) fn registered(&self, name: &MachineName) -> PathBuf {
        self.path(self.scope.registered).join(name.as_str())
    }

    /// Returns whether the caller is the user who owns the containers.
    pub(crate) fn is_owner(&self) -> bool {
        rustix::process::geteuid().as_raw() == self.scope.owner
    }

    /// Returns the directory of Nix's garbage collector roots.
    pub(crate) fn gc_roots(&self) -> PathBuf {
        self.directory(self.scope.gc_roots)
    }

    /// Reports an event.
    pub(crate) fn report(&self, event: Event) {
        (self.watcher)(event);
    }

    /// Returns a program to call.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Program<'_> {
        Program::new(name, &*self.programs, &*self.watcher, self.verbose)
    }

    /// Returns one of systemd's programs, with the arguments that select the manager.
    pub(crate) fn manager(&self, name: &str) -> Program<'_> {
        self.program(name).args(self.scope.manager)
    }

    /// Loads everything in /etc/nixos-nspawn.
    pub(crate) fn load(&self) -> Loaded {
        load(&self.root, self.trust())
    }

    /// Loads one container, so that it takes no more time if there are many.
    pub(crate) fn load_one(&self, name: &MachineName) -> Loaded {
        self.load_these(&[name])
    }

    /// Loads the intents of these containers only, without those of the others.
    pub(crate) fn load_these(&self, names: &[&MachineName]) -> Loaded {
        let names: BTreeSet<&MachineName> = names.iter().copied().collect();
        load_some(&self.root, self.trust(), &|other| names.contains(other))
    }

    /// Loads only the facts of the host.
    pub(crate) fn load_none(&self) -> Loaded {
        load_some(&self.root, self.trust(), &|_| false)
    }

    fn trust(&self) -> Trust {
        Trust::below(&self.root)
    }

    /// Returns the boot ID (`random(4)`), or an empty string if it cannot be read.
    pub(crate) fn boot_id(&self) -> String {
        let id = std::fs::read_to_string(self.path("/proc/sys/kernel/random/boot_id"));
        id.map(|id| id.trim().to_owned()).unwrap_or_default()
    }

    /// Returns whether the system was booted with systemd, as sd_booted(3).
    pub(crate) fn booted(&self) -> bool {
        self.live && self.path("/run/systemd/system").is_dir()
    }

    /// Refuses what needs the privileges of the containers' owner.
    pub(crate) fn need_root(&self, what: &str) -> Result<()> {
        if self.live() && !self.is_owner() {
            return unchanged(format!("{what} needs root"), "try again with sudo");
        }
        Ok(())
    }

    /// Refuses what needs the service manager.
    pub(crate) fn need_systemd(&self) -> Result<()> {
        if !self.live() {
            return unchanged("this command works on the running system only", "leave out --root");
        }
        if !self.booted() {
            return unchanged("systemd is not running here", "--root DIR works on a tree offline");
        }
        Ok(())
    }

    /// Refuses to work on an offline tree, where no Nix is available.
    pub(crate) fn need_live(&self, command: &str) -> Result<()> {
        if self.live() {
            return Ok(());
        }
        unchanged(format!("{command} works on the running system only"), "leave out --root")
    }
}

/// Refuses a tree in which a directory to be written to resolves to a place outside, since its links were made by
/// somebody else.
fn inside(root: &Path, scope: &Scope) -> anyhow::Result<()> {
    if root == Path::new("/") {
        return Ok(());
    }
    let places = [
        scope.intents,
        scope.unit_links,
        scope.gc_roots,
        PROFILES,
        BINDS,
        DEVICES,
        HOST_NIX,
        NETWORK_DIRECTORY,
        NSPAWN_DIRECTORY,
        scope.machines,
        scope.journal,
    ];
    for place in places {
        // Checks the longest existing part; whatever is created below it is a real directory.
        let place = Path::new(place.trim_start_matches('/'));
        let there =
            place.ancestors().map(|part| root.join(part)).find(|part| part.symlink_metadata().is_ok());
        let Some(there) = there else { continue };
        if !there.canonicalize().is_ok_and(|resolved| resolved.starts_with(root)) {
            return unchanged(
                format!("{}: resolves to a path outside {}", there.display(), root.display()),
                "",
            );
        }
    }
    Ok(())
}

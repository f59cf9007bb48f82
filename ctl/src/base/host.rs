//! The host that operations work on: a tree of files, programs to call, and whom to tell what happens. The real one is
//! the running system or an offline tree; tests give operations a tree of their own and scripted programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::copies::{NETWORK_DIRECTORY, NSPAWN_DIRECTORY};
use nixos_nspawn_units::nspawn::files::DEVICES;
use nixos_nspawn_units::store::{Loaded, Trust, load};

use crate::base::config::{Config, PROFILES};
use crate::base::config_files::Trust as ConfigTrust;
use crate::base::event::Event;
use crate::base::exit::{Failed, refuse, unchanged};
use crate::base::program::{Machine, Program, Programs};
use crate::base::scope::Scope;

/// A host.
pub(crate) struct Host {
    /// The tree that is worked on, `/` on a running system.
    pub(crate) root: PathBuf,
    /// Whether it is the running system, so that systemd and Nix can be asked.
    pub(crate) live: bool,
    /// Whose containers are managed.
    pub(crate) scope: Scope,
    /// Whether programs that are called are shown.
    pub(crate) verbose: bool,
    /// The administrator's defaults.
    pub(crate) config: Config,
    /// Runs programs.
    pub(crate) programs: Box<dyn Programs>,
    /// Is told what happens meanwhile.
    pub(crate) watcher: Box<dyn Fn(Event)>,
}

impl Host {
    /// Opens the running system (`/`) or an offline tree.
    pub(crate) fn open(root: &Path, verbose: bool, watcher: Box<dyn Fn(Event)>) -> Result<Self> {
        if !root.is_dir() {
            return Err(Failed::Usage(format!("{}: --root is not a directory", root.display())).into());
        }
        let root = root.canonicalize()?;
        let live = root == Path::new("/");
        let scope = Scope::SYSTEM;
        inside(&root, &scope)?;
        let trust = if live { ConfigTrust::Owner(scope.owner) } else { ConfigTrust::Anybody };
        let config = Config::read(&root, trust)?;
        Ok(Self { root, live, scope, verbose, config, programs: Box::new(Machine), watcher })
    }

    /// Whether the tree is the running system.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Returns an absolute path of the system, below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Returns the directory of intents and records.
    pub(crate) fn intents(&self) -> PathBuf {
        self.path(self.scope.intents)
    }

    /// Returns the directory of the containers' roots.
    pub(crate) fn machines(&self) -> PathBuf {
        self.path(self.scope.machines)
    }

    /// Returns the directory of locks and of what is remembered until the next boot.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.path(self.scope.runtime)
    }

    /// Returns the directory in which `systemctl enable` and `mask` make their links.
    pub(crate) fn unit_links(&self) -> PathBuf {
        self.path(self.scope.unit_links)
    }

    /// Returns the directory of roots for Nix's garbage collector.
    pub(crate) fn gc_roots(&self) -> PathBuf {
        self.path(self.scope.gc_roots)
    }

    /// Reports what happens.
    pub(crate) fn report(&self, event: Event) {
        (self.watcher)(event);
    }

    /// Returns a program to call.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Program<'_> {
        Program::new(name, &*self.programs, &*self.watcher, self.verbose)
    }

    /// Returns one of systemd's programs, told which manager it is about.
    pub(crate) fn manager(&self, name: &str) -> Program<'_> {
        self.program(name).args(self.scope.manager)
    }

    /// Loads everything below /etc/nixos-nspawn.
    pub(crate) fn load(&self) -> Loaded {
        let also = (!self.live()).then(|| rustix::process::geteuid().as_raw());
        load(&self.root, Trust { also })
    }

    /// Returns the id of this boot (`random(4)`), empty where it cannot be read.
    pub(crate) fn boot_id(&self) -> String {
        let id = std::fs::read_to_string(self.path("/proc/sys/kernel/random/boot_id"));
        id.map(|id| id.trim().to_owned()).unwrap_or_default()
    }

    /// Whether systemd runs here, as sd_booted(3).
    pub(crate) fn booted(&self) -> bool {
        self.live && self.path("/run/systemd/system").is_dir()
    }

    /// Refuses what needs the rights of the containers' owner.
    pub(crate) fn need_root(&self, what: &str) -> Result<()> {
        if self.live() && rustix::process::geteuid().as_raw() != self.scope.owner {
            return unchanged(format!("{what} needs root"), "try again with sudo");
        }
        Ok(())
    }

    /// Refuses what needs the service manager.
    pub(crate) fn need_systemd(&self) -> Result<()> {
        if !self.live() {
            return refuse("this command works on the running system only, not with --root");
        }
        if !self.booted() {
            return unchanged("systemd is not running here", "--root DIR works on a tree offline");
        }
        Ok(())
    }

    /// Refuses to work on a tree: no Nix serves one.
    pub(crate) fn need_live(&self, command: &str) -> Result<()> {
        if self.live() {
            return Ok(());
        }
        unchanged(format!("{command} works on the running system only"), "leave out --root")
    }
}

/// Refuses a tree in which a place that is written to leads out of it: links in it were made by somebody else.
fn inside(root: &Path, scope: &Scope) -> anyhow::Result<()> {
    if root == Path::new("/") {
        return Ok(());
    }
    let places = [
        scope.intents,
        scope.unit_links,
        scope.gc_roots,
        PROFILES,
        DEVICES,
        NETWORK_DIRECTORY,
        NSPAWN_DIRECTORY,
        scope.machines,
        scope.journal,
    ];
    for place in places {
        // The longest part of it that is there; what is made below that is real.
        let place = Path::new(place.trim_start_matches('/'));
        let there =
            place.ancestors().map(|part| root.join(part)).find(|part| part.symlink_metadata().is_ok());
        let Some(there) = there else { continue };
        if !there.canonicalize().is_ok_and(|resolved| resolved.starts_with(root)) {
            return unchanged(format!("{}: leads out of {}", there.display(), root.display()), "");
        }
    }
    Ok(())
}

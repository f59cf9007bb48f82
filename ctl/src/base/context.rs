//! What every command works with: the root of the tree, the verbosity, the administrator's defaults. Paths of the
//! system go in, paths below the root come out.

use std::path::{Path, PathBuf};

use nixos_nspawn_units::store::{Loaded, Trust, load};
use serde::Serialize;

use crate::base::config::Config;
use crate::base::exit::{Failed, refuse};
use crate::base::output::{print, print_json};
use crate::base::program::Program;
use crate::cli::Global;

/// The setting of a command.
pub(crate) struct Context {
    /// The tree that is worked on, `/` on a running system.
    pub(crate) root: PathBuf,
    /// Whether programs that are called are shown.
    pub(crate) verbose: bool,
    /// Whether output is coloured.
    pub(crate) color: bool,
    /// Whether the answer is JSON.
    pub(crate) json: bool,
    /// The administrator's defaults.
    pub(crate) config: Config,
}

impl Context {
    /// The context of a command line.
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        use std::io::IsTerminal;
        let color = match global.color {
            crate::cli::Color::Always => true,
            crate::cli::Color::Never => false,
            crate::cli::Color::Auto => {
                std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal()
            }
        };
        if !global.root.is_dir() {
            return Err(Failed::Usage(format!("{}: --root is not a directory", global.root.display())).into());
        }
        let root = global.root.canonicalize()?;
        inside(&root)?;
        let config = Config::read(&root)?;
        Ok(Self { root, verbose: global.verbose, color, json: global.json, config })
    }

    /// Writes the answer of a command to standard output: as JSON if that is asked for, else as the text made of it.
    pub(crate) fn answer<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        if self.json { print_json(answer) } else { print(&text(answer)) }
    }

    /// Whether the tree is the running system.
    pub(crate) fn live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// An absolute path of the system, below the root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A program to call.
    pub(crate) fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Program {
        Program::new(name, self.verbose)
    }

    /// Everything below /etc/nixos-nspawn.
    pub(crate) fn load(&self) -> Loaded {
        let also = (!self.live()).then(|| rustix::process::geteuid().as_raw());
        load(&self.root, Trust { also })
    }

    /// Refuses what needs root.
    pub(crate) fn need_root(&self, what: &str) -> anyhow::Result<()> {
        if self.live() && !rustix::process::geteuid().is_root() {
            return refuse(format!("{what} needs root, nothing was changed; try again with sudo"));
        }
        Ok(())
    }

    /// Refuses what needs the service manager.
    pub(crate) fn need_systemd(&self) -> anyhow::Result<()> {
        if !self.live() {
            return refuse("this command works on the running system only, not with --root");
        }
        // As sd_booted(3).
        if !Path::new("/run/systemd/system").is_dir() {
            return refuse(
                "systemd is not running here, nothing was changed; --root DIR works on a tree offline",
            );
        }
        Ok(())
    }
}

/// Refuses a tree in which a place that is written to leads out of it: links in it were made by somebody else.
fn inside(root: &Path) -> anyhow::Result<()> {
    if root == Path::new("/") {
        return Ok(());
    }
    let places = [
        "etc/nixos-nspawn",
        "etc/systemd/system",
        "nix/var/nix/gcroots",
        "nix/var/nix/profiles/per-nspawn",
        "run/nixos-nspawn/devices",
        "run/systemd/network",
        "run/systemd/nspawn",
        "var/lib/machines",
        "var/log/journal",
    ];
    for place in places {
        // The longest part of it that is there; what is made below that is real.
        let there = Path::new(place)
            .ancestors()
            .map(|part| root.join(part))
            .find(|part| part.symlink_metadata().is_ok());
        let Some(there) = there else { continue };
        if !there.canonicalize().is_ok_and(|resolved| resolved.starts_with(root)) {
            return refuse(format!(
                "{}: leads out of {}, nothing was changed",
                there.display(),
                root.display()
            ));
        }
    }
    Ok(())
}

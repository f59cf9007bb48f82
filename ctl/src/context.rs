//! What every command works with: the root of the tree, the verbosity, the administrator's defaults. Paths of the
//! system go in, paths below the root come out.

use std::path::{Path, PathBuf};

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DIRECTORY, Kind, LoadError, Loaded, Stored, Trust, load};

use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Failed, refuse};
use crate::program::Program;

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

/// A container by name, as far as it can be read.
pub(crate) enum Found<'a> {
    /// A good intent.
    Good(&'a Stored),
    /// One that is refused.
    Broken(&'a LoadError),
}

impl Found<'_> {
    /// Who manages it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Good(stored) => stored.kind,
            Self::Broken(error) => error.kind,
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Good(stored) => &stored.path,
            Self::Broken(error) => &error.path,
        }
    }
}

/// The container called `name`, if there is an intent of any quality.
pub(crate) fn find<'a>(loaded: &'a Loaded, name: &MachineName) -> Option<Found<'a>> {
    let good = loaded.intents.iter().find(|stored| stored.name == *name).map(Found::Good);
    good.or_else(|| {
        let named = |error: &&LoadError| error.name.as_ref() == Some(name) && !error.shadowed;
        loaded.errors.iter().find(named).map(Found::Broken)
    })
}

/// The intent of an imperative container, to change it.
pub(crate) fn imperative<'a>(loaded: &'a Loaded, name: &MachineName) -> anyhow::Result<&'a Intent> {
    match find(loaded, name) {
        None => Err(no_such(name)),
        Some(found) if found.kind() == Kind::Declarative => refuse(declarative(name)),
        Some(Found::Broken(error)) => refuse(format!("{error}, nothing was changed; correct the file first")),
        Some(Found::Good(stored)) => Ok(&stored.intent),
    }
}

/// There is no such container.
pub(crate) fn no_such(name: &MachineName) -> anyhow::Error {
    Failed::Usage(format!("there is no container '{name}' in {DIRECTORY}; 'nixos-nspawn list' shows all"))
        .into()
}

/// It belongs to the host's configuration.
pub(crate) fn declarative(name: &MachineName) -> String {
    format!(
        "container '{name}' is declarative, nothing was changed; change it in the host's NixOS configuration"
    )
}

/// A name from the command line.
pub(crate) fn machine_name(text: &str) -> anyhow::Result<MachineName> {
    Ok(text.parse::<MachineName>().map_err(|error| Failed::Usage(error.to_string()))?)
}

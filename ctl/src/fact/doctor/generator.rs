//! The generator that PID 1 would run, its unit helper, and the copies that this program could replace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nixos_nspawn_units::store::HOST_FILE;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::installation::{GENERATOR, Installed, ask, generator_file, shipped};
use crate::host::host_file;
use crate::host::systemd;

/// The generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GeneratorSeen {
    /// There is none.
    Missing {
        /// Whether it belongs to the configuration of a NixOS host.
        nixos: bool,
    },
    /// A file of its name masks it (`systemd.generator(7)`).
    Masked(PathBuf),
    /// It is not executable, so systemd skips it.
    NotExecutable(PathBuf),
    /// It is a file of an offline tree, which is not run.
    Unasked(PathBuf),
    /// It does not answer as one of ours.
    Strange(PathBuf, Unseen),
    /// It answers.
    Answers(Answers),
}

/// A generator that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Its own answer.
    pub(crate) generator: Installed,
    /// The answer of the unit helper; `None` if there is no such file.
    pub(crate) helper: Option<Seen<Installed>>,
    /// Whether `setup` has installed it.
    pub(crate) by_setup: bool,
    /// Whether `setup` would install other programs; `None` if none are shipped beside this one.
    pub(crate) replaceable: Option<bool>,
}

impl GeneratorSeen {
    /// Looks at the generator.
    pub(crate) fn look(host: &Host) -> Self {
        let Some(path) = generator_file(host) else {
            return Self::Missing { nixos: host.path("/etc/NIXOS").exists() };
        };
        let found = fs::metadata(&path).ok().filter(|file| file.is_file() && file.len() > 0);
        let Some(found) = found else { return Self::Masked(path) };
        if found.permissions().mode() & 0o111 == 0 {
            return Self::NotExecutable(path);
        }
        if !host.live() {
            return Self::Unasked(path);
        }
        match ask(host, &path) {
            Ok(generator) => Self::Answers(Answers::of(host, generator)),
            Err(error) => Self::Strange(path, error.into()),
        }
    }
}

impl Answers {
    fn of(host: &Host, generator: Installed) -> Self {
        let helper = generator.helper.exists().then(|| ask(host, &generator.helper).map_err(Unseen::from));
        let own = host.directory(host.scope.own_generators).join(GENERATOR);
        // A link is that of a configuration or package manager.
        let by_setup = generator.path == own && own.symlink_metadata().is_ok_and(|file| file.is_file());
        let bytes = |path: &PathBuf| fs::read(path).ok();
        let replaceable = shipped().and_then(|path| bytes(&path)).map(|shipped| {
            [&generator.path, &generator.helper].iter().any(|path| bytes(path).as_ref() != Some(&shipped))
        });
        Self { helper, by_setup, replaceable, generator }
    }
}

/// What the generator knows about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// The version of systemd that it plans for, if host.json records one.
    pub(crate) recorded: Option<u32>,
    /// The version that runs.
    pub(crate) runs: Seen<u32>,
    /// Whether everything else is as nixos-nspawn.conf says.
    pub(crate) current: bool,
}

impl HostFacts {
    /// Looks at host.json and systemd; `None` in an offline tree.
    pub(crate) fn look(host: &Host) -> Option<Self> {
        if !host.live() {
            return None;
        }
        let recorded = host.load().host;
        let present = host.path(HOST_FILE).exists();
        let facts = host_file::load(host).map(|loaded| loaded.host);
        Some(Self {
            recorded: present.then_some(recorded.systemd),
            runs: systemd::version(host).map_err(Unseen::from),
            current: facts.is_ok_and(|facts| facts.boot_limit == recorded.boot_limit),
        })
    }
}

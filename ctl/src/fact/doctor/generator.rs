//! The generator that PID 1 would run, its unit helper, and the copies that this program could replace.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nixos_nspawn_units::store::HOST_FILE;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::installation::{GENERATOR, Installed, ask, shipped};
use crate::host::files::{absent, followed};
use crate::host::host_file;
use crate::host::systemd;

/// The generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GeneratorSeen {
    /// There is none.
    Missing,
    /// An empty file, or a link to /dev/null, masks it (`systemd.generator(7)`).
    Masked(PathBuf),
    /// It is a link to something that is missing.
    Dangling(PathBuf),
    /// It cannot be looked at.
    Unseen(Unseen),
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
        let path = match place(host) {
            Ok(Some(path)) => path,
            Ok(None) => return Self::Missing,
            Err(unseen) => return Self::Unseen(unseen),
        };
        // In an offline tree, a device of the host says nothing.
        if fs::read_link(&path).is_ok_and(|target| target == Path::new("/dev/null")) {
            return Self::Masked(path);
        }
        let found = match fs::metadata(followed(host, &path)) {
            Ok(found) => found,
            Err(error) if absent(&error) => return Self::Dangling(path),
            Err(error) => return Self::Unseen(Unseen::path(&path, &error)),
        };
        if found.is_file() && found.len() == 0 || found.file_type().is_char_device() {
            return Self::Masked(path);
        }
        if !found.is_file() {
            let why = Unseen { why: "it is not a file".to_owned(), needs_root: false };
            return Self::Strange(path, why);
        }
        if found.permissions().mode() & 0o111 == 0 {
            return Self::NotExecutable(path);
        }
        if !host.live() {
            return Self::Unasked(path);
        }
        match ask(host, &path) {
            Ok(generator) => Self::Answers(Answers::of(host, generator)),
            Err(error) => match Unseen::from(error) {
                unseen if unseen.needs_root => Self::Unseen(unseen),
                unseen => Self::Strange(path, unseen),
            },
        }
    }
}

/// Returns the path of the first file of the generator's name.
fn place(host: &Host) -> Seen<Option<PathBuf>> {
    for folder in host.scope.generators {
        let path = host.directory(folder).join(GENERATOR);
        match path.symlink_metadata() {
            Ok(_) => return Ok(Some(path)),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(Unseen::path(&path, &error)),
        }
    }
    Ok(None)
}

impl Answers {
    fn of(host: &Host, generator: Installed) -> Self {
        let helper = match generator.helper.metadata() {
            Ok(_) => Some(ask(host, &generator.helper).map_err(Unseen::from)),
            Err(error) if absent(&error) => None,
            Err(error) => Some(Err(Unseen::path(&generator.helper, &error))),
        };
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
    pub(crate) current: Seen<bool>,
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
            current: facts.map(|facts| facts.boot_limit == recorded.boot_limit).map_err(Unseen::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_masks_is_called_a_mask() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::open(root.path(), false, Box::new(|_| {})).unwrap();
        assert_eq!(GeneratorSeen::look(&host), GeneratorSeen::Missing);
        let folder = root.path().join("etc/systemd/system-generators");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.canonicalize().unwrap().join(GENERATOR);
        let program = root.path().join("nix/store/x/generator");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "#!").unwrap();
        let executable = |mode| fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        executable(0o755);
        let linked = |target: &str| {
            let _ = fs::remove_file(&path);
            symlink(target, &path).unwrap();
            GeneratorSeen::look(&host)
        };
        assert_eq!(linked("/dev/null"), GeneratorSeen::Masked(path.clone()));
        assert_eq!(linked("/nix/store/gone/generator"), GeneratorSeen::Dangling(path.clone()));
        // The link leads into the tree, as NixOS makes it.
        assert_eq!(linked("/nix/store/x/generator"), GeneratorSeen::Unasked(path.clone()));
        executable(0o644);
        assert_eq!(linked("/nix/store/x/generator"), GeneratorSeen::NotExecutable(path.clone()));
        assert!(matches!(linked("/nix/store/x"), GeneratorSeen::Strange(..)));
        assert!(matches!(linked(GENERATOR), GeneratorSeen::Unseen(_)));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(GeneratorSeen::look(&host), GeneratorSeen::Masked(path));
    }
}

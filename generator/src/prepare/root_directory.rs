//! Creates the container's root directory with the few entries that nspawn needs. After the first start, the
//! container controls everything below it: paths are opened by directory descriptor, and a link in place of a
//! directory is an error. Otherwise a container's `etc -> /` would make us create files on the host.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::failure::Failure;

/// Directories below the root. `usr` must exist for Boot=no (nspawn.c); activation writes into the others early.
const DIRECTORIES: [&str; 3] = ["etc", "usr", "var"];

/// Empty files in etc: machinectl looks for os-release, and the container's PID 1 fills machine-id.
const FILES: [&str; 2] = ["os-release", "machine-id"];

/// Creates the root directory of the container, or what is missing in it.
pub(crate) fn make(root: &Path, name: &MachineName) -> Result<(), Failure> {
    let machines = root.join("var/lib/machines");
    let path = machines.join(name.as_str());
    let failed = |at: &str, error: io::Error| {
        // openat2() fails with ELOOP for any link; its text would be misleading.
        let reason = match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => "is a symbolic link, must be a directory".to_owned(),
            _ => error.to_string(),
        };
        Failure::not_started(format!("{}{at}", path.display()), reason, name, "")
    };
    // The mode is that of systemd's tmpfiles.d/systemd-nspawn.conf.
    builder(0o700).recursive(true).create(&machines).map_err(|error| failed("", error))?;
    let made = match builder(0o755).create(&path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed("", error)),
    };
    let filled = fill(&path).map_err(|(at, error)| failed(&format!("/{at}"), error));
    if made && filled.is_err() {
        let _ = fs::remove_dir_all(&path);
    }
    filled
}

fn fill(path: &Path) -> Result<(), (String, io::Error)> {
    let at = |name: &str| {
        let name = name.to_owned();
        move |error: Errno| (name, error.into())
    };
    let root = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(at(""))?;
    for name in DIRECTORIES {
        match mkdirat(&root, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(at(name)(error)),
        }
        beneath(&root, name, OFlags::DIRECTORY).map_err(at(name))?;
    }
    let etc = beneath(&root, "etc", OFlags::DIRECTORY).map_err(at("etc"))?;
    for name in FILES {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&etc, name, flags, Mode::from_raw_mode(0o644)) {
            // An existing entry belongs to the container.
            Ok(_) | Err(Errno::EXIST) => {}
            Err(error) => return Err(at(&format!("etc/{name}"))(error)),
        }
    }
    Ok(())
}

/// Opens a path that a container may have created, without following links.
pub(crate) fn beneath(root: &OwnedFd, name: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    open_resolved(root, name, OFlags::PATH | OFlags::CLOEXEC | flags, resolve)
}

fn builder(mode: u32) -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(mode);
    builder
}

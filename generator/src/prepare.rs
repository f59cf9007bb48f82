//! Prepares a container's start: copies the generated files to where nspawn and networkd look, and creates what
//! nspawn needs. Reports what would make nspawn fail, or start on the wrong data. The settings file comes last, so
//! that a start that fails half way leaves nothing that looks ready.

mod bind_sources;
pub(crate) mod credentials;
mod devices;
mod exposed;
mod host_nix;
mod journal;
pub(crate) mod locked;
mod mount_points;
mod mounts;
mod network;
mod root_directory;
mod source;
mod user_namespace;
mod version;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nixos_nspawn_units::copies::NetworkText;
use nixos_nspawn_units::copies::{self, REFILL, generated};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{EXTENSION, NETWORK_NAME};
use nixos_nspawn_units::write::link;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::escape::nspawn_values;
use systemd_unit_syntax::parse;

use crate::failure::Failure;
use crate::log::Log;
use crate::refuse;

/// Puts everything in place for the container's start.
pub(crate) fn prepare(root: &Path, name: &MachineName, log: &Log) -> Result<(), Failure> {
    // The root directory comes first: without it, nspawn's own clean-up after a failed start fails (systemd 262).
    root_directory::make(root, name)?;
    let Generated { mut file, network } = settings(root, name)?;
    unshadowed(root, name)?;
    version::check(name, &file, log)?;
    user_namespace::available(root, name, &file)?;
    user_namespace::check(root, name, &file)?;
    network::check(root, name, &file)?;
    let toplevel = toplevel(root, name, &file)?;
    keep(root, name, &toplevel, log);
    remove_stale_export(root, name);
    devices::make(root, name, &file)?;
    let parts = host_nix::make(root, name, &file)?;
    let declared = file.clone();
    let read_only = bind_sources::mount(root, name, &mut file, log)?;
    host_nix::mount(root, name, &parts, &read_only, log)?;
    credentials::check(root, name, log)?;
    mount_points::make(root, name, &file);
    journal::check(root, name, &declared, &mut file, log);
    for swept in copies::sweep(root, |name| copies::intended(root, name)) {
        log.warning(&format!("removed files in /run that container '{swept}' left behind"));
    }
    network::put(root, name, network.as_ref(), log);
    copies::put(root, name, file.text().as_bytes()).map_err(|error| {
        let path = copies::copy_path(root, name);
        Failure::not_started(path.display(), error, name, "")
    })
}

/// The files that the generator wrote for a container.
struct Generated {
    /// The .nspawn file.
    file: UnitFile,
    /// The .network file that belongs to it, if there is one.
    network: Option<NetworkText>,
}

/// Reads the generated files. Waits while they are missing: PID 1 empties the generator's directory at each
/// daemon-reload, and starts units meanwhile.
fn settings(root: &Path, name: &MachineName) -> Result<Generated, Failure> {
    let path = generated(root, &format!("{name}.nspawn"));
    let begin = Instant::now();
    loop {
        let missing = match fs::read_to_string(&path) {
            Ok(text) => {
                let file = parse(text.as_bytes())
                    .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?
                    .file;
                // Both files must be from the same run of the generator.
                match copies::network_of(root, &file) {
                    Ok(network) => return Ok(Generated { file, network }),
                    Err(error) => {
                        let name = file.values(EXTENSION, NETWORK_NAME).next();
                        (generated(root, name.unwrap_or_default()), error)
                    }
                }
            }
            Err(error) => (path.clone(), error),
        };
        let (path, error) = missing;
        let refilling = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData);
        if !refilling || begin.elapsed() >= REFILL {
            let path = path.display();
            return Err(Failure::new(format!(
                "{path}: {error}, container '{name}' is not started; run 'systemctl daemon-reload' and check \
                 'journalctl -b' for messages of nixos-nspawn-generator"
            )));
        }
        if generated(root, &format!("{name}.refused")).exists() {
            return Err(refuse::refuse(root, name));
        }
        sleep(Duration::from_millis(10));
    }
}

/// Fails if /etc has a settings file of this name, which nspawn would use instead.
fn unshadowed(root: &Path, name: &MachineName) -> Result<(), Failure> {
    let path = root.join(format!("etc/systemd/nspawn/{name}.nspawn"));
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(Failure {
            status: refuse::CONFIG,
            message: format!(
                "{}: would be used in place of the settings of nixos-nspawn, container '{name}' is not started; \
                 remove the file, and move its settings to the container's nspawnConfig",
                path.display()
            ),
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        // nspawn may be able to read it.
        Err(error) => Err(Failure::new(format!(
            "{}: cannot be looked up ({error}), container '{name}' is not started",
            path.display()
        ))),
    }
}

/// Returns the system that will run. Fails if it is not in the store.
fn toplevel(root: &Path, name: &MachineName, file: &UnitFile) -> Result<String, Failure> {
    let init = file
        .values("Exec", "Parameters")
        .next()
        .and_then(|value| nspawn_values(value).ok())
        .and_then(|words| words.into_iter().next())
        .unwrap_or_default();
    let init_below = root.join(init.trim_start_matches('/'));
    let toplevel = init.strip_suffix("/init").unwrap_or(&init).to_owned();
    match fs::symlink_metadata(&init_below) {
        Ok(_) => Ok(toplevel),
        Err(error) => Err(Failure::new(format!(
            "{init}: {error}: the system of container '{name}' is gone from the store, it is not started; build it \
             again from the source that 'nixos-nspawn show {name}' prints"
        ))),
    }
}

/// Keeps the system that will run from the garbage collector.
fn keep(root: &Path, name: &MachineName, toplevel: &str, log: &Log) {
    let path = copies::running_root(root, name);
    let linked = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let directory =
            openat(CWD, path.parent().unwrap_or(root), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        link(&directory, &format!("{name}-running"), toplevel)
    });
    if let Err(error) = linked {
        // The profile still keeps the recorded generation.
        log.warning(&format!(
            "{}: {error}, {toplevel} is not protected from garbage collection",
            path.display()
        ));
    }
}

/// Removes a mount that a killed nspawn of systemd 256–261 leaves behind, and on which the next start fails with
/// "exists already, refusing" (systemd#34776).
fn remove_stale_export(root: &Path, name: &MachineName) {
    let path = root.join(copies::NSPAWN_DIRECTORY).join("unix-export").join(name.as_str());
    // Mounts may be stacked; when none is left, the attempt fails with EINVAL.
    for _ in 0..16 {
        match unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT | _) => break,
        }
    }
    // nspawn itself reports a directory that is in its way.
    let _ = fs::remove_dir(&path);
}

//! Just before a container starts: what the generator wrote for it is put where nspawn looks, and what nspawn needs
//! is made. It says clearly what would make nspawn fail, or worse, start on the wrong data. The settings file
//! comes last, so that a start which fails half way leaves nothing that looks ready.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nixos_nspawn_units::copies::{self, generated};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::file_name;
use nixos_nspawn_units::plan::{EXTENSION, MARKER, NETWORK_HASH};
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::escape::nspawn_values;
use nixos_nspawn_units::syntax::parse;
use nixos_nspawn_units::write::link;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::log::Log;
use crate::{
    Failure, credentials, devices, hidden, host_nix, network, refuse, root_directory, sources, version,
};

/// How long a daemon-reload that empties and refills the generator's directory is waited for.
const REFILL: Duration = Duration::from_secs(10);

/// Puts everything in place for the container's start.
pub(crate) fn prepare(root: &Path, name: &MachineName, log: &Log) -> Result<(), Failure> {
    // The root comes first: nspawn's own clean-up after a failed start (systemd 262) fails without one.
    root_directory::make(root, name)?;
    let Generated { text, file, network } = settings(root, name)?;
    unshadowed(root, name)?;
    version::check(name, &file, log)?;
    network::check(root, name, &file)?;
    let toplevel = toplevel(root, name, &file)?;
    keep(root, name, &toplevel, log);
    remove_stale_export(root, name);
    devices::make(root, name, &file)?;
    host_nix::make(root, name, &file, log)?;
    sources::make(root, name, &file, log)?;
    credentials::check(root, name, log)?;
    hidden::make(root, name, &file);
    for swept in copies::sweep(root) {
        log.warning(&format!("what container '{swept}' had left in /run is removed"));
    }
    network::put(root, name, network.as_deref(), log);
    copies::put(root, name, text.as_bytes()).map_err(|error| {
        let path = copies::copy_path(root, name);
        Failure::new(format!("{}: {error}, container '{name}' is not started", path.display()))
    })
}

/// What the generator wrote for a container.
struct Generated {
    /// The .nspawn file.
    text: String,
    /// The same, read.
    file: UnitFile,
    /// The .network file that belongs to it, if there is one.
    network: Option<String>,
}

/// The generated files. PID 1 empties the generator's directory at each daemon-reload, and starts go on meanwhile.
fn settings(root: &Path, name: &MachineName) -> Result<Generated, Failure> {
    let path = generated(root, &format!("{name}.nspawn"));
    let network_path = generated(root, &file_name(name));
    let begin = Instant::now();
    loop {
        let missing = match fs::read_to_string(&path) {
            Ok(text) => {
                let file = parse(text.as_bytes())
                    .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?
                    .file;
                let Some(hash) = file.values(EXTENSION, NETWORK_HASH).next() else {
                    return Ok(Generated { text, file, network: None });
                };
                // Of the same run of the generator.
                let mark = format!("# {MARKER}{hash}\n");
                match fs::read_to_string(&network_path) {
                    Ok(network) if network.starts_with(&mark) => {
                        return Ok(Generated { text, file, network: Some(network) });
                    }
                    Ok(_) => (&network_path, ErrorKind::NotFound.into()),
                    Err(error) => (&network_path, error),
                }
            }
            Err(error) => (&path, error),
        };
        let (path, error) = missing;
        if error.kind() != ErrorKind::NotFound || begin.elapsed() >= REFILL {
            let path = path.display();
            return Err(Failure::new(format!(
                "{path}: {error}, container '{name}' is not started; run 'systemctl daemon-reload' and look for \
                 messages of nixos-nspawn-generator in 'journalctl -b'"
            )));
        }
        if generated(root, &format!("{name}.refused")).exists() {
            return Err(refuse::refuse(root, name));
        }
        sleep(Duration::from_millis(10));
    }
}

/// nspawn takes the first file of this name, and looks in /etc first.
fn unshadowed(root: &Path, name: &MachineName) -> Result<(), Failure> {
    let path = root.join(format!("etc/systemd/nspawn/{name}.nspawn"));
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(Failure {
            status: refuse::CONFIG,
            message: format!(
                "{}: would be used in place of the settings of nixos-nspawn, container '{name}' is not started; \
                 remove the file, and put what it sets into the container's nspawnConfig",
                path.display()
            ),
        }),
        Err(_) => Ok(()),
    }
}

/// The system that will run, which must be in the store.
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
             again ('nixos-nspawn show {name}' tells its source)"
        ))),
    }
}

fn keep(root: &Path, name: &MachineName, toplevel: &str, log: &Log) {
    let path = copies::running_root(root, name);
    let linked = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let directory =
            openat(CWD, path.parent().unwrap_or(root), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        link(&directory, &format!("{name}-running"), toplevel)
    });
    if let Err(error) = linked {
        // The recorded generation is kept by its profile all the same.
        log.warning(&format!(
            "{}: {error}: {toplevel} is not kept from the garbage collector",
            path.display()
        ));
    }
}

/// A killed nspawn of systemd 256–261 leaves a mount here, and the next start fails with "exists already, refusing"
/// (systemd#34776).
fn remove_stale_export(root: &Path, name: &MachineName) {
    let path = root.join(copies::NSPAWN_DIRECTORY).join("unix-export").join(name.as_str());
    // Mounts may be stacked; the last attempt fails with EINVAL when none is left.
    for _ in 0..16 {
        match unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT | _) => break,
        }
    }
    // Not empty or not there: nspawn says so if it minds.
    let _ = fs::remove_dir(&path);
}

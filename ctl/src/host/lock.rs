//! Locks between commands: one per container, held for the whole command, and a global one, held briefly while
//! several containers are checked and the result is written. They are files in /run that only root can open and that
//! are unlocked when their holder exits. A file beside each names the holder.

use std::fs;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::base::event::Event;
use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::base::{held, interrupt};
use crate::host::files::write_file_for_now;

/// How long to wait for another command: longer than builds should take.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How long an apply waits for another one, which changes all containers.
const PATIENCE_OF_APPLY: Duration = Duration::from_secs(6 * 60 * 60);

/// A lock that is held until it is dropped.
pub(crate) struct Lock {
    // Closing the descriptor releases the lock.
    _file: Arc<File>,
    path: PathBuf,
}

impl Lock {
    /// Locks one container; waits for another command that holds the lock, and reports that.
    pub(crate) fn container(host: &Host, name: &MachineName) -> Result<Self> {
        Self::wait(host, name.as_str(), &format!("container '{name}'"), PATIENCE)
    }

    /// Locks one container if nobody holds the lock.
    pub(crate) fn container_if_free(host: &Host, name: &MachineName) -> Result<Option<Self>> {
        attempt(&directory(host)?.join(format!("{name}.lock")))
    }

    /// Takes the global lock.
    pub(crate) fn global(host: &Host) -> Result<Self> {
        // MachineName rejects this name.
        Self::wait(host, "_", host.scope.intents, PATIENCE)
    }

    /// Locks the application of flakes to the host.
    pub(crate) fn apply(host: &Host) -> Result<Self> {
        // MachineName rejects this name.
        Self::wait(host, "_apply", "the set of containers of this host", PATIENCE_OF_APPLY)
    }

    fn wait(host: &Host, name: &str, what: &str, patience: Duration) -> Result<Self> {
        let path = directory(host)?.join(format!("{name}.lock"));
        let end = Instant::now() + patience;
        let mut said = false;
        loop {
            if let Some(lock) = attempt(&path)? {
                return Ok(lock);
            }
            let holder =
                holder(host, name).map_or("another command".to_owned(), |id| format!("process {id}"));
            if Instant::now() >= end {
                let minutes = patience.as_secs() / 60;
                return unchanged(
                    format!("{what} is still being changed by {holder} after {minutes} minutes"),
                    "end that, or try again",
                );
            }
            if !said {
                host.report(Event::Waiting { what: what.to_owned(), holder });
                said = true;
            }
            std::thread::sleep(Duration::from_millis(50));
            interrupt::check()?;
        }
    }
}

/// Returns the process that holds, or last held, the lock of this name. Anybody may read that.
pub(crate) fn holder(host: &Host, name: &str) -> Option<u32> {
    fs::read_to_string(host.runtime().join(format!("{name}.pid"))).ok()?.trim().parse().ok()
}

/// Returns the directory of the locks, which only root can write to, and creates it if necessary.
fn directory(host: &Host) -> Result<PathBuf> {
    let directory = host.runtime();
    let cannot = || format!("{}: cannot be created", directory.display());
    match fs::symlink_metadata(&directory) {
        Ok(there) if there.is_dir() => {}
        Ok(_) => return unchanged(format!("{}: is not a directory", directory.display()), "remove it"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o755).create(&directory).with_context(cannot)?;
        }
        Err(error) => return Err(error).with_context(cannot),
    }
    Ok(directory)
}

fn attempt(path: &Path) -> Result<Option<Lock>> {
    let cannot = || format!("{}: cannot be locked", path.display());
    let no_links = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    loop {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_links)
            .open(path)
            .with_context(cannot)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error).with_context(cannot),
        }
        // A previous holder may have removed the file after it was opened: then the lock protects nothing.
        let same =
            fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|own| own.ino() == there.ino()));
        if !same {
            continue;
        }
        // An earlier version made it readable, and whoever can read it can lock it.
        file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(cannot)?;
        let id = format!("{}\n", std::process::id());
        write_file_for_now(&path.with_extension("pid"), id.as_bytes(), 0o644).with_context(cannot)?;
        let file = Arc::new(file);
        held::remember(&file);
        return Ok(Some(Lock { _file: file, path: path.to_owned() }));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody else's file is removed.
        let _ = fs::remove_file(self.path.with_extension("pid"));
        let _ = fs::remove_file(&self.path);
    }
}

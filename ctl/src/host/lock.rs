//! Locks between commands: one per container, held for the whole command, and a global one, held briefly while
//! several containers are checked and the result is written. They are files in /run that are unlocked when their
//! holder exits.

use std::fs;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::base::event::Event;
use crate::base::host::Host;
use crate::base::interrupt;

/// A lock that is held until it is dropped.
pub(crate) struct Lock {
    // Closing the descriptor releases the lock.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks one container; waits for another command that holds the lock, and reports that.
    pub(crate) fn container(host: &Host, name: &MachineName) -> Result<Self> {
        Self::wait(host, &format!("{name}.lock"), &format!("container '{name}'"))
    }

    /// Locks one container if nobody holds the lock.
    pub(crate) fn container_if_free(host: &Host, name: &MachineName) -> Result<Option<Self>> {
        let directory = host.runtime();
        fs::create_dir_all(&directory)?;
        attempt(&directory.join(format!("{name}.lock")))
    }

    /// Takes the global lock.
    pub(crate) fn global(host: &Host) -> Result<Self> {
        // MachineName rejects this name.
        Self::wait(host, "_.lock", host.scope.intents)
    }

    fn wait(host: &Host, name: &str, what: &str) -> Result<Self> {
        let directory = host.runtime();
        fs::create_dir_all(&directory)
            .with_context(|| format!("{}: cannot be created", directory.display()))?;
        let path = directory.join(name);
        let mut said = false;
        loop {
            if let Some(lock) = attempt(&path)? {
                return Ok(lock);
            }
            if !said {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim();
                let holder = if holder.is_empty() {
                    "another command".to_owned()
                } else {
                    format!("process {holder}")
                };
                host.report(Event::Waiting { what: what.to_owned(), holder });
                said = true;
            }
            std::thread::sleep(Duration::from_millis(50));
            interrupt::check()?;
        }
    }
}

fn attempt(path: &Path) -> Result<Option<Lock>> {
    let cannot = || format!("{}: cannot be locked", path.display());
    loop {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
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
        let mut present = String::new();
        let _ = file.read_to_string(&mut present);
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        return Ok(Some(Lock { _file: file, path: path.to_owned() }));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody else's file is removed.
        let _ = fs::remove_file(&self.path);
    }
}

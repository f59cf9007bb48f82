//! Generated files, and our copies of them, which are identified by their first line.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::plan::{MARKER, OWN_DIRECTORY};
use crate::write::write_at_once;

/// Where PID 1 lets generators write their units (`systemd.generator(7)`).
pub const GENERATOR_DIRECTORY: &str = "run/systemd/generator";

/// How long a daemon-reload may take to refill the generator's directory, which PID 1 empties first.
pub const REFILL: Duration = Duration::from_secs(10);

/// Returns the path of a generated file, below `root`.
pub fn generated(root: &Path, file: &str) -> PathBuf {
    root.join(GENERATOR_DIRECTORY).join(OWN_DIRECTORY).join(file)
}

/// Returns the plan hash in the marker line of one of our files; `None` if the file is not ours.
pub fn marked(path: &Path) -> io::Result<Option<String>> {
    let mut start = [0; 128];
    let mut file = File::from(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        Mode::empty(),
    )?);
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            read => length += read,
        }
    }
    let line = start[..length].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hash = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("# ")?.strip_prefix(MARKER));
    Ok(hash.map(str::to_owned))
}

/// Writes a file, unless a file that is not ours exists there.
pub(super) fn place(directory: &Path, file: &str, text: &[u8]) -> io::Result<()> {
    match marked(&directory.join(file)) {
        Ok(None) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "exists and was not made by nixos-nspawn",
            ));
        }
        Ok(Some(_)) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(directory)?;
    let directory = openat(CWD, directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // networkd reads its files as a user of its own.
    write_at_once(&directory, file, text, Mode::from_raw_mode(0o644))
}

/// Removes a file if it is ours; returns whether there was one.
pub(super) fn remove_marked(path: &Path) -> io::Result<bool> {
    match marked(path) {
        Ok(Some(_)) => fs::remove_file(path).map(|()| true),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

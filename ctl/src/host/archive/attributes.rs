//! Owners, modes, times and extended attributes of files, read and set by descriptors.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, fstat, getxattr,
    listxattr, setxattr, utimensat,
};
use rustix::io::Errno;

use super::names::{attribute_key, attribute_of, is_carried};

/// The key of the record of a time, `seconds.nanoseconds`.
const TIME: &str = "mtime";

/// What is known of a file, besides its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) time: (i64, u32),
    pub(super) extended: Vec<(String, Vec<u8>)>,
}

/// Returns the path by which the file of a descriptor can be reached, whatever its type.
pub(super) fn path_of(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

impl Attributes {
    /// Reads those of a file that was opened as a path, and returns what else `stat` says.
    pub(super) fn read(file: impl AsFd) -> io::Result<(Self, Stat)> {
        let stat = fstat(&file)?;
        let attributes = Self {
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
            time: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            extended: extended(&path_of(file))?,
        };
        Ok((attributes, stat))
    }

    /// Returns the records that a plain header has no room for.
    pub(super) fn records(&self) -> Vec<(String, Vec<u8>)> {
        let (seconds, nanoseconds) = self.time;
        let mut records = Vec::new();
        if nanoseconds != 0 && seconds >= 0 {
            records.push((TIME.to_owned(), format!("{seconds}.{nanoseconds:09}").into_bytes()));
        }
        let encoded = |value: &[u8]| STANDARD.encode(value).into_bytes();
        records.extend(self.extended.iter().map(|(name, value)| (attribute_key(name), encoded(value))));
        records
    }

    /// Takes over a record. Returns whether it is known.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> bool {
        if key == TIME {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let (seconds, nanoseconds) = text.split_once('.').unwrap_or((text, "0"));
            match (seconds.parse(), nanoseconds.parse()) {
                (Ok(seconds), Ok(nanoseconds)) if nanoseconds < 1_000_000_000 => {
                    self.time = (seconds, nanoseconds)
                }
                _ => return false,
            }
            return true;
        }
        match (attribute_of(key), STANDARD.decode(value)) {
            (Some(name), Ok(value)) => {
                self.extended.push((name, value));
                true
            }
            _ => false,
        }
    }

    /// Gives them to a file that was opened as a path, a symbolic link as well.
    pub(super) fn set(&self, file: impl AsFd, is_link: bool) -> io::Result<()> {
        let path = path_of(&file);
        let (user, group) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
        // A change of the owner takes the set-user-ID bit and capabilities away.
        chownat(&file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
        if !is_link {
            chmod(path.as_str(), Mode::from_raw_mode(self.mode))?;
        }
        for (name, value) in &self.extended {
            setxattr(path.as_str(), name.as_str(), value, XattrFlags::empty())?;
        }
        let time = Timespec { tv_sec: self.time.0, tv_nsec: self.time.1.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        match utimensat(&file, "", &times, AtFlags::EMPTY_PATH) {
            // Before Linux 5.8.
            Err(Errno::INVAL) if !is_link => {
                utimensat(rustix::fs::CWD, path.as_str(), &times, AtFlags::empty())?
            }
            done => done?,
        }
        Ok(())
    }
}

/// Reads the extended attributes that are carried.
fn extended(path: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match listxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::PERM) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let Some(text) = OsStr::from_bytes(name).to_str().filter(|name| is_carried(name)) else { continue };
        let mut value = vec![0; 64 << 10];
        match getxattr(path, text, &mut value[..]) {
            Ok(length) => value.truncate(length),
            Err(Errno::NODATA | Errno::NOTSUP) => continue,
            Err(error) => return Err(error.into()),
        }
        found.push((text.to_owned(), value));
    }
    found.sort();
    Ok(found)
}

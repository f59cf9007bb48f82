//! Reads the files of a directory, each into an intent or an error. Large files come last, so that they take no time
//! from the others.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::Dir;
use rustix::io::Errno;

use super::loaded::{Kind, LoadError, Stored};
use super::reader::{Reader, Unreadable, Wanted};
use crate::deadline::Work;
use crate::intent::{Fault, MAX_SIZE, parse, reads_as_autostart};
use crate::invalid::{Invalid, shown};
use crate::name::MachineName;
use crate::parallel::in_parts;

/// Files above this size are read last, so that they take no time from the others.
const LARGE: usize = 64 * 1024;

/// The reason for refusing a file for which there was no time.
const NO_TIME: &str =
    "was not read, since nixos-nspawn-generator ran out of time; make the largest files smaller";

impl Reader<'_> {
    /// Returns the usable intents of a directory, and adds those that cannot be used to `errors`.
    pub(super) fn intents(
        &self,
        directory: OwnedFd,
        path: &str,
        kind: Kind,
        wanted: Wanted,
        errors: &mut Vec<LoadError>,
    ) -> Vec<Stored> {
        let names = match intent_names(&directory) {
            Ok(names) => names,
            Err(error) => {
                let fault = Fault::whole(format!("cannot be listed: {}", io::Error::from(error)));
                errors.push(LoadError::new(path, kind, fault));
                return Vec::new();
            }
        };
        // A name that no container can have is a fault of its own, whichever containers are wanted.
        let is_wanted = |name: &IntentName| name.machine.as_ref().map_or(true, wanted);
        let names: Vec<IntentName> = names.into_iter().filter(is_wanted).collect();
        let parts = in_parts(&names, |part| {
            let mut read = Read::new(&directory, path, kind, part.len());
            let large: Vec<&IntentName> =
                part.iter().filter(|name| !self.intent(name, LARGE, &mut read)).collect();
            (read, large)
        });
        let mut parts = parts.into_iter();
        let Some((mut all, mut large)) = parts.next() else { return Vec::new() };
        all.intents.reserve_exact(names.len() - all.intents.len());
        for (read, left) in parts {
            all.intents.extend(read.intents);
            all.errors.extend(read.errors);
            large.extend(left);
        }
        for name in large {
            self.intent(name, MAX_SIZE, &mut all);
        }
        errors.append(&mut all.errors);
        all.intents
    }

    /// Reads one intent, or adds its fault; returns false if the file has more than `most` bytes.
    fn intent(&self, name: &IntentName, most: usize, read: &mut Read) -> bool {
        let Read { directory, path, kind, intents, errors, bytes } = read;
        let kind = *kind;
        let file = [&name.text, ".json"].concat();
        if kind == Kind::Imperative && file == "host.json" {
            return true;
        }
        let path = [path, "/", &file].concat();
        let error = |fault, autostart| LoadError::new(path.clone(), kind, fault).of(None, autostart);
        let machine = match &name.machine {
            Ok(machine) => machine.clone(),
            Err(reason) => {
                errors.push(error(Fault::whole(reason.as_str()), false));
                return true;
            }
        };
        let error = |fault, autostart| error(fault, autostart).of(Some(machine.clone()), autostart);
        let work = if most < MAX_SIZE { Work::SmallFile } else { Work::LargeFile };
        if !(self.in_time)(work) {
            errors.push(LoadError { unread: true, ..error(Fault::whole(NO_TIME), true) });
            return true;
        }
        match self.file(directory, &file, &path, most, bytes) {
            // Removed since the directory was listed.
            Err(Unreadable::Missing) => {}
            Err(Unreadable::Large) => return false,
            Err(Unreadable::Fault(why)) => {
                errors.push(LoadError { unread: true, ..error(why, true) });
            }
            Ok(()) => match parse(bytes, &machine) {
                Ok(intent) => intents.push(Stored { name: machine, kind, path, intent: Box::new(intent) }),
                Err(why) => errors.push(error(why, reads_as_autostart(bytes).unwrap_or(true))),
            },
        }
        true
    }
}

/// A directory, and what was read from it so far.
struct Read<'a> {
    directory: &'a OwnedFd,
    path: &'a str,
    kind: Kind,
    intents: Vec<Stored>,
    errors: Vec<LoadError>,
    /// The bytes of the last file. Its memory is used again, so that intents do not lie scattered between.
    bytes: Vec<u8>,
}

impl<'a> Read<'a> {
    fn new(directory: &'a OwnedFd, path: &'a str, kind: Kind, count: usize) -> Self {
        let intents = Vec::with_capacity(count);
        Self { directory, path, kind, intents, errors: Vec::new(), bytes: Vec::new() }
    }
}

/// A file name without `.json`, and whether it is a machine name.
pub(super) struct IntentName {
    pub(super) text: String,
    pub(super) machine: Result<MachineName, String>,
}

/// Returns the `NAME.json` in a directory, sorted; temporaries start with a dot.
pub(super) fn intent_names(directory: &OwnedFd) -> Result<Vec<IntentName>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let Some(base) = entry.file_name().to_bytes().strip_suffix(b".json") else { continue };
        if base.starts_with(b".") {
            continue;
        }
        let (text, machine) = match std::str::from_utf8(base) {
            Ok(text) => (text.to_owned(), text.parse().map_err(|error: Invalid| error.to_string())),
            Err(_) => {
                let text = String::from_utf8_lossy(base).into_owned();
                let reason = format!("'{}' is not a machine name: it is not UTF-8", shown(&text));
                (text, Err(reason))
            }
        };
        names.push(IntentName { text, machine });
    }
    names.sort_by(|a, b| a.text.cmp(&b.text));
    Ok(names)
}

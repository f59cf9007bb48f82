//! Reads /etc/nixos-nspawn: all good intents *and* all faults. No file outside of that directory is read, except for
//! links of declarative.d and host.json into /nix/store. Where a directory is refused because it is a link, the names
//! behind it are listed, so that each container is refused visibly. Nothing blocks: only regular files of bounded size
//! are read. They decide what a container may see of the host, so they must belong to root.

mod host;
mod intents;
mod loaded;
mod reader;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::deadline::{InTime, unlimited};
use crate::intent::{Fault, MAX_SIZE, typed};
use crate::name::MachineName;

use intents::intent_names;
use reader::{Reader, Unreadable, Wanted};

pub use host::{BootLimit, Host};
pub use loaded::{Kind, LoadError, Loaded, Stored};
pub use reader::{DECLARATIVE_DIRECTORY, DIRECTORY, HOST_FILE, Trust};

/// Loads everything below `root`, which is `/` on a running system.
///
/// ```
/// use nixos_nspawn_units::store::{Trust, load};
///
/// let root = tempfile::tempdir()?;
/// let loaded = load(root.path(), Trust::default());
/// assert!(loaded.intents.is_empty() && loaded.errors.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn load(root: &Path, trust: Trust) -> Loaded {
    load_in_time(root, trust, &unlimited)
}

/// Does the same as long as there is time. Files that were not read are refused like files that cannot be read.
pub fn load_in_time(root: &Path, trust: Trust, in_time: InTime) -> Loaded {
    load_with(&Reader { root, trust, in_time }, &|_| true)
}

/// Loads only the containers that are wanted; the other files in the directories are not opened.
pub fn load_some(root: &Path, trust: Trust, wanted: &dyn Fn(&MachineName) -> bool) -> Loaded {
    load_with(&Reader { root, trust, in_time: &unlimited }, wanted)
}

fn load_with(reader: &Reader, wanted: Wanted) -> Loaded {
    let mut loaded = Loaded::default();
    let directory = match reader.directory(DIRECTORY) {
        Ok(Some(directory)) => directory,
        Ok(None) => return loaded,
        // The names in it stay visible even if their contents cannot be trusted.
        Err((fault, directory)) => {
            refuse_all(&mut loaded, DIRECTORY, Kind::Imperative, fault, directory);
            return loaded;
        }
    };
    let mut bytes = Vec::new();
    match reader.file(directory.as_fd(), "host.json", HOST_FILE, MAX_SIZE, &mut bytes).map(|()| typed(&bytes))
    {
        Ok(Ok(host)) => loaded.host = host,
        Ok(Err(fault)) | Err(Unreadable::Fault(fault)) => loaded.errors.push(host_fault(fault)),
        Err(Unreadable::Missing | Unreadable::Large) => {}
    }
    let mut intents = reader.intents(directory, DIRECTORY, Kind::Imperative, wanted, &mut loaded.errors);
    match reader.declarative_directory() {
        Ok(Some(directory)) => {
            let declarative = reader.intents(
                directory,
                DECLARATIVE_DIRECTORY,
                Kind::Declarative,
                wanted,
                &mut loaded.errors,
            );
            settle_names(&mut intents, declarative, &mut loaded.errors);
        }
        Ok(None) => {}
        Err((fault, directory)) => {
            refuse_all(&mut loaded, DECLARATIVE_DIRECTORY, Kind::Declarative, fault, directory);
            settle_names(&mut intents, Vec::new(), &mut loaded.errors);
        }
    }
    intents.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    loaded.intents = intents;
    loaded
}

/// Resolves names that occur twice: the declarative container wins, and the other stays visible as a fault.
fn settle_names(intents: &mut Vec<Stored>, declarative: Vec<Stored>, errors: &mut Vec<LoadError>) {
    let mut claimed: std::collections::BTreeSet<MachineName> =
        declarative.iter().map(|stored| stored.name.clone()).collect();
    claimed.extend(errors.iter().filter(|e| e.kind == Kind::Declarative).filter_map(|e| e.name.clone()));
    for error in errors.iter_mut().filter(|e| e.kind == Kind::Imperative) {
        error.shadowed = error.name.as_ref().is_some_and(|name| claimed.contains(name));
    }
    intents.retain(|Stored { name, path, .. }| {
        let usable = !claimed.contains(name);
        if !usable {
            let reason = format!("'{name}' is also a declarative container, which takes precedence");
            let error = LoadError::new(path.clone(), Kind::Imperative, Fault::whole(reason));
            errors.push(LoadError { shadowed: true, ..error.of(Some(name.clone()), false) });
        }
        usable
    });
    intents.extend(declarative);
}

fn host_fault(fault: Fault) -> LoadError {
    LoadError::new(HOST_FILE, Kind::Imperative, fault)
}

/// Refuses each name in a directory that cannot be trusted, and the directory itself.
fn refuse_all(loaded: &mut Loaded, path: &str, kind: Kind, fault: Fault, directory: Option<OwnedFd>) {
    for name in directory.iter().flat_map(|directory| intent_names(directory).unwrap_or_default()) {
        let why = Fault::whole(format!("is in {path}, which {}", fault.reason));
        let error = LoadError::new(format!("{path}/{}.json", name.text), kind, why);
        loaded.errors.push(error.of(name.machine.ok(), true));
    }
    loaded.errors.push(LoadError::new(path, kind, fault));
}

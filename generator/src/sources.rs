//! The sources of bind mounts. A missing one is made, but only its last component: a database must not initialise
//! itself on the root file system because the disk that belongs there is not mounted yet.

use std::fs::{DirBuilder, metadata};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::syntax::UnitFile;
use nixos_nspawn_units::syntax::words::bind_fields;

use crate::Failure;

/// Makes the missing sources of all `Bind=` and `BindReadOnly=` lines.
pub(crate) fn make(root: &Path, name: &MachineName, file: &UnitFile) -> Result<(), Failure> {
    for value in file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly")) {
        let Ok(fields) = bind_fields(value) else { continue };
        // An empty source is a temporary directory, `+` one inside the container.
        if !fields.source.starts_with('/') {
            continue;
        }
        let path = root.join(fields.source.trim_start_matches('/'));
        match metadata(&path) {
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(&path, &error.to_string(), name, "")),
        }
        match DirBuilder::new().mode(0o755).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists && metadata(&path).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let reason = "bind mount source and the directory above it do not exist";
                return Err(refused(&path, reason, name, "; create it, or mount what belongs there"));
            }
            Err(error) => return Err(refused(&path, &format!("cannot be made: {error}"), name, "")),
        }
    }
    Ok(())
}

fn refused(path: &Path, reason: &str, name: &MachineName, next: &str) -> Failure {
    Failure::new(format!("{}: {reason}, container '{name}' is not started{next}", path.display()))
}

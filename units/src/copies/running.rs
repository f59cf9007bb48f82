//! Tells from files whether a container runs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

use crate::name::MachineName;

/// Returns whether the container's unit has not stopped: its machine is registered, or its control group exists. If that
/// cannot be found out, it may run.
pub fn runs(root: &Path, name: &MachineName) -> bool {
    if is_there(&root.join(format!("run/systemd/machines/{name}"))) {
        return true;
    }
    // In machine.slice, unless `Slice=` says otherwise; slices nest.
    fn contains(folder: &Path, unit: &str, depth: u8) -> bool {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return !is_absence(&error),
        };
        entries.into_iter().any(|entry| match entry.map(|entry| entry.path()) {
            Ok(slice) if slice.extension().is_some_and(|extension| extension == "slice") => {
                is_there(&slice.join(unit)) || depth > 0 && contains(&slice, unit, depth - 1)
            }
            Ok(_) => false,
            Err(_) => true,
        })
    }
    contains(&root.join("sys/fs/cgroup"), &format!("systemd-nspawn@{name}.service"), DEEPEST_SLICE)
}

fn is_there(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !is_absence(&error),
    }
}

/// Returns whether an error says that there is nothing. A control group may go while its directory is read.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// The maximum nesting of slices to search; a container in a deeper slice is found once its machine is registered.
const DEEPEST_SLICE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_in_any_slice() {
        let root = std::env::temp_dir().join(format!("nixos-nspawn-runs-{}", std::process::id()));
        let name: MachineName = "web".parse().unwrap();
        let folders =
            ["machine.slice", "machine.slice/machine-a.slice", "a.slice/a-b.slice/a-b-c.slice/a-b-c-d.slice"];
        for folder in folders {
            let slice = root.join("sys/fs/cgroup").join(folder);
            fs::create_dir_all(slice.join("systemd-nspawn@other.service")).unwrap();
            assert!(!runs(&root, &name));
            fs::create_dir(slice.join("systemd-nspawn@web.service")).unwrap();
            assert!(runs(&root, &name), "{folder}");
            fs::remove_dir_all(&root).unwrap();
        }
        // The container's own groups are skipped.
        fs::create_dir_all(root.join("sys/fs/cgroup/system.slice/x.service/systemd-nspawn@web.service"))
            .unwrap();
        assert!(!runs(&root, &name));
        fs::create_dir_all(root.join("run/systemd/machines/web")).unwrap();
        assert!(runs(&root, &name));
        fs::remove_dir_all(&root).unwrap();
        // An error is not an absence.
        assert!(!runs(&root, &name));
        fs::create_dir_all(root.join("sys/fs")).unwrap();
        std::os::unix::fs::symlink("cgroup", root.join("sys/fs/cgroup")).unwrap();
        assert!(runs(&root, &name));
        fs::remove_dir_all(&root).unwrap();
    }
}

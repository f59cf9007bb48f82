//! Tells from files whether a container runs.

use std::fs;
use std::path::Path;

use crate::name::MachineName;

/// Returns whether the container's unit has not stopped: its machine is registered, or its control group exists.
pub fn runs(root: &Path, name: &MachineName) -> bool {
    if root.join(format!("run/systemd/machines/{name}")).exists() {
        return true;
    }
    // In machine.slice, unless `Slice=` says otherwise; slices nest.
    fn contains(folder: &Path, unit: &str, depth: u8) -> bool {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut slices =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "slice"));
        slices.any(|slice| slice.join(unit).exists() || depth > 0 && contains(&slice, unit, depth - 1))
    }
    contains(&root.join("sys/fs/cgroup"), &format!("systemd-nspawn@{name}.service"), DEEPEST_SLICE)
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
    }
}

//! What makes a container's state its own: the machine ID, and what is derived from it. A copy gets new ones at its first
//! start. The state was written by a container, so links in it are not followed.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::host::remove_tree::remove_tree;

/// Removes the machine ID, the journal under it, and the random seed.
pub(crate) fn forget_identity(state: &Path) -> Result<()> {
    let cannot = |what: &'static str| move || format!("{}: cannot be removed", state.join(what).display());
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = openat(CWD, state, flags, Mode::empty())
        .with_context(|| format!("{}: cannot be opened", state.display()))?;
    if let Some(etc) = inside(&root, "etc") {
        let id = machine_id(&etc);
        remove(&etc, "machine-id").with_context(cannot("etc/machine-id"))?;
        if let (Some(id), Some(journal)) = (id, inside(&root, "var/log/journal")) {
            remove_tree(&journal, id.as_ref()).with_context(cannot("var/log/journal"))?;
        }
    }
    if let Some(systemd) = inside(&root, "var/lib/systemd") {
        remove(&systemd, "random-seed").with_context(cannot("var/lib/systemd/random-seed"))?;
    }
    Ok(())
}

/// Opens a directory below the root, if it is one and no link leads there.
fn inside(root: &OwnedFd, path: &str) -> Option<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    open_resolved(root, path, OFlags::DIRECTORY | OFlags::CLOEXEC, resolve).ok()
}

/// Returns the machine ID, if it is one.
fn machine_id(etc: &OwnedFd) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(etc, "machine-id", flags, Mode::empty()).ok()?);
    let mut text = String::new();
    file.metadata().ok().filter(|found| found.is_file())?;
    file.take(64).read_to_string(&mut text).ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

fn remove(directory: &OwnedFd, name: &str) -> Result<()> {
    match unlinkat(directory, name, AtFlags::empty()) {
        // A directory of that name is not systemd's.
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_identifies_a_system_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let id = "0123456789abcdef0123456789abcdef";
        for directory in
            ["etc/ssh", &format!("var/log/journal/{id}"), "var/log/journal/other", "var/lib/systemd"]
        {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("etc/machine-id"), format!("{id}\n")).unwrap();
        fs::write(root.join("var/lib/systemd/random-seed"), "x").unwrap();
        fs::write(root.join("etc/ssh/ssh_host_ed25519_key"), "x").unwrap();
        forget_identity(&root).unwrap();
        for gone in ["etc/machine-id", &format!("var/log/journal/{id}"), "var/lib/systemd/random-seed"] {
            assert!(!root.join(gone).exists(), "{gone}");
        }
        assert!(
            root.join("var/log/journal/other").exists() && root.join("etc/ssh/ssh_host_ed25519_key").exists()
        );
        forget_identity(&root).unwrap();

        // Links of a container lead nowhere.
        let host = folder.path().join("host");
        fs::create_dir_all(host.join("systemd")).unwrap();
        for file in ["machine-id", "systemd/random-seed"] {
            fs::write(host.join(file), id).unwrap();
        }
        fs::remove_dir_all(root.join("etc")).unwrap();
        symlink(&host, root.join("etc")).unwrap();
        fs::remove_dir_all(root.join("var/lib")).unwrap();
        symlink(&host, root.join("var/lib")).unwrap();
        forget_identity(&root).unwrap();
        assert!(host.join("machine-id").exists() && host.join("systemd/random-seed").exists());
    }
}

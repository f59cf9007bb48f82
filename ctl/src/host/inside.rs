//! Looks into a running container's file system. The container controls everything there, so files are opened through
//! descriptors that stay below its root.

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use nixos_nspawn_units::value::StorePath;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, readlinkat};

use crate::base::host::Host;
use crate::host::gc_roots::running_toplevel;
use crate::host::registration::leader;

/// Returns the system that the container's /run/current-system points to, or `None` if it cannot be read.
pub(crate) fn current_system(host: &Host, name: &MachineName) -> Option<StorePath> {
    let leader = leader(host, name)?;
    let root = format!("/proc/{leader}/root");
    let root = openat(CWD, &root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let link = open_resolved(&root, "run/current-system", flags, resolve).ok()?;
    readlinkat(&link, "", Vec::new()).ok()?.to_str().ok()?.parse().ok()
}

/// Returns the running system: the one that the container shows, since somebody may have switched it by hand, otherwise
/// the one that it was last started or reloaded with.
pub(crate) fn running_system(host: &Host, name: &MachineName) -> Option<StorePath> {
    let recorded = running_toplevel(host, name)?;
    Some(current_system(host, name).unwrap_or(recorded))
}

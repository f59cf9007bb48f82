//! Opens paths whose resolution is restricted (`openat2(2)`).

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

/// How often the kernel may ask for another attempt. It does when something on the system was renamed or mounted while a
/// `..` was resolved, which early boot does all the time.
const ATTEMPTS: u32 = 1000;

/// Opens a path below a directory, resolved as the flags say.
pub fn open_resolved(
    directory: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = openat2(directory.as_fd(), path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN)) {
            break;
        }
    }
    result
}

//! Checks whether a container has a user namespace that maps its users, and whether the owners in its root match.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::settings::parse_boolean;

use crate::failure::Failure;

/// The number of users that nspawn gives to a container; the first one is a multiple of it.
const RANGE: u32 = 0x10000;

/// Returns whether users inside are mapped to other users on the host.
pub(crate) fn maps_users(file: &UnitFile) -> bool {
    match file.values("Exec", "PrivateUsers").last() {
        None | Some("identity") => false,
        Some(value) => parse_boolean(value) != Some(false),
    }
}

/// Fails if the container needs a user namespace and the host allows none. nspawn would only say "No space left on
/// device".
pub(crate) fn available(root: &Path, name: &MachineName, file: &UnitFile) -> Result<(), Failure> {
    let limit = fs::read_to_string(root.join("proc/sys/user/max_user_namespaces"));
    if !maps_users(file) || limit.map_or(true, |limit| limit.trim() != "0") {
        return Ok(());
    }
    Err(Failure::new(format!(
        "/proc/sys/user/max_user_namespaces: is 0, so container '{name}' cannot have a user namespace and is not started; raise it \
         with sysctl(8), or set userNamespacing to false"
    )))
}

/// Fails if the root's files were given to the users of a user namespace, and the container has none now: nothing in it
/// would belong to root.
pub(crate) fn check(root: &Path, name: &MachineName, file: &UnitFile) -> Result<(), Failure> {
    let path = root.join("var/lib/machines").join(name.as_str());
    // nspawn reports a root that cannot be inspected.
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let owner = found.uid();
    if maps_users(file) || owner == 0 || owner % RANGE != 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::new(format!(
        "{path}: belongs to user {owner}, since its files were shifted for a user namespace, and userNamespacing is off, \
         container '{name}' is not started; turn userNamespacing on, or shift them back with \
         'systemd-nspawn --directory={path} --private-users=0 --private-users-ownership=chown --as-pid2 /bin/true', \
         which may fail after that"
    )))
}

//! File systems whose owners the kernel cannot map.

/// File systems without support for idmapped mounts (no `FS_ALLOW_IDMAP`, Linux 6.18).
const NOT_MAPPABLE: [&str; 12] = [
    "9p", "cifs", "devtmpfs", "efivarfs", "exfat", "fuseblk", "hfsplus", "nfs", "nfs4", "proc", "smb3",
    "sysfs",
];

/// Returns whether a file system of this type may support idmapped mounts; only the kernel knows for sure.
pub fn may_map_ids(kind: &str) -> bool {
    !NOT_MAPPABLE.contains(&kind) && !kind.starts_with("fuse.")
}

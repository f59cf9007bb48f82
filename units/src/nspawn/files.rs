//! The part of [Files] that options set: bind mounts, devices, temporary file systems, inaccessible paths; and `X-`
//! settings, which nspawn skips and `--prepare` reads.

use crate::intent::{BindMount, BindSource, Container};
use systemd_unit_syntax::Section;
use systemd_unit_syntax::escape::{self, EscapeError};

/// A device that must exist at the start; the value is its path, unescaped.
pub const NEEDED_DEVICE: &str = "X-NeededDevice";

/// The two nodes that nspawn makes itself if `DeviceAllow=` allows it (systemd ≥ 257).
pub(crate) const TUN: &str = "/dev/net/tun";
pub(crate) const FUSE: &str = "/dev/fuse";

/// The kernel log.
pub(crate) const KMSG: &str = "/dev/kmsg";

/// Where copies of devices stand while a container with a user namespace is active, each in its own file system.
pub const DEVICES: &str = "run/nixos-nspawn/devices";

/// Where `--prepare` mounts the sources of bind mounts, in a folder for each active container.
pub const BINDS: &str = "run/nixos-nspawn/binds";

/// Returns the absolute path at which `--prepare` mounts the bind source of this number.
pub fn bind_place(name: &str, number: usize) -> String {
    format!("/{BINDS}/{name}/{number}")
}

/// Returns the absolute path of the copy of the host's device at `path` for the container of this name.
pub fn copied_device(name: &str, path: &str) -> String {
    format!("/{DEVICES}/{name}{path}")
}

/// Adds the settings of the options that are set.
pub(super) fn set(files: &mut Section, name: &str, container: &Container) -> Result<(), EscapeError> {
    let in_user_namespace = container.in_user_namespace();
    for mount in &container.bind_mounts {
        if mount.is_host_database() {
            files.comment("the bind mount of Nix's database is left out: every container sees it, read-only");
            continue;
        }
        if mount.loses_options(in_user_namespace) {
            files.comment(
                "id mapping is left out: it needs userNamespacing, and nspawn would fail without that",
            );
        }
        let key = if mount.read_only { "BindReadOnly" } else { "Bind" };
        files.set(key, bind(mount, in_user_namespace)?);
    }
    let made = [(container.tun, TUN), (container.fuse, FUSE)];
    for (_, path) in made.iter().filter(|(needed, _)| *needed) {
        files.set(NEEDED_DEVICE, *path);
    }
    let bound = container.devices.iter().map(|device| device.path.as_str());
    for path in bound.chain(Some(KMSG).filter(|_| container.kernel_log)) {
        files.set(NEEDED_DEVICE, escape::nspawn_raw(path)?);
        // devtmpfs cannot map owners, so the node would belong to nobody inside: --prepare makes a copy that can.
        files.set(
            "Bind",
            match in_user_namespace {
                true => format!(
                    "{}:{}:idmap",
                    escape::bind_field(&copied_device(name, path))?,
                    escape::bind_field(path)?
                ),
                false => format!("{0}:{0}", escape::bind_field(path)?),
            },
        );
    }
    for tmpfs in &container.tmpfs {
        let options = tmpfs.options().map(|options| format!(":{options}")).unwrap_or_default();
        files.set("TemporaryFileSystem", escape::bind_field(&tmpfs.path())? + &options);
    }
    for path in &container.inaccessible_paths {
        files.set("Inaccessible", escape::nspawn_raw(path.as_str())?);
    }
    Ok(())
}

fn bind(mount: &BindMount, in_user_namespace: bool) -> Result<String, EscapeError> {
    let (plus, source) = match &mount.source {
        BindSource::Host(path) => ("", escape::bind_field(path.as_str())?),
        BindSource::Root(path) => ("+", escape::bind_field(path.as_str())?),
        BindSource::Temporary => ("", String::new()),
    };
    let destination = escape::bind_field(mount.destination.as_str())?;
    let mut text = String::with_capacity(source.len() + destination.len() + 16);
    for part in [plus, &source, ":", &destination] {
        text.push_str(part);
    }
    for (number, option) in mount.options_in_force(in_user_namespace).enumerate() {
        text.push(if number == 0 { ':' } else { ',' });
        text.push_str(option);
    }
    Ok(text)
}

//! The mounts of the host's Nix in the .nspawn file (docs/decisions/host-store.md).

use crate::intent::{Container, NixPart};
use crate::name::MachineName;
use systemd_unit_syntax::Section;
use systemd_unit_syntax::words::bind_fields;

/// Where `--prepare` mounts the parts, read-only and locked, in a folder for each active container.
pub const HOST_NIX: &str = "run/nixos-nspawn/nix";

/// Returns the path at which `--prepare` mounts a part for the container of this name.
pub fn locked(name: &str, part: NixPart) -> String {
    ["/", HOST_NIX, "/", name, "/", part.name].concat()
}

/// Returns whether a path is one of those mounts of the container.
pub fn is_locked(path: &str, name: &MachineName) -> bool {
    path.starts_with(&format!("/{HOST_NIX}/{name}/"))
}

/// Adds the settings.
pub(super) fn set(files: &mut Section, name: &str, container: &Container) {
    for part in container.nix_parts() {
        files.set(
            "BindReadOnly",
            match container.in_user_namespace() {
                // Without the mapping, root's files in the store would be nobody's inside. The kernel locks these
                // mounts by itself.
                true => [part.path, ":", part.path, ":rootidmap"].concat(),
                false => [&locked(name, part), ":", part.path].concat(),
            },
        );
    }
}

/// Returns whether a free-form setting repeats one of [`set`], as profiles of python-nixos-nspawn do. It would be
/// mounted on top of ours and not be locked. Only for the socket's folder does a writable mount count as a repetition.
pub fn is_repeated(key: &str, value: &str, container: &Container) -> bool {
    let Ok(fields) = bind_fields(value) else { return false };
    let destination = fields.destination.as_deref().unwrap_or(&fields.source);
    let same = |part: &NixPart| {
        let socket = part.path.ends_with("/daemon-socket");
        (key == "BindReadOnly" || key == "Bind" && socket)
            && [fields.source.as_str(), destination]
                .iter()
                .all(|path| path.trim_end_matches('/') == part.path)
    };
    container.nix_parts().any(|part| same(&part))
}

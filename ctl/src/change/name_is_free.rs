//! Whether a name is free for a new container.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::copies;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Loaded};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::change::import_options::Import;
use crate::fact::lookup::{all_seen, find};
use crate::host::{imported, unit_links};

/// Refuses a name that a container, a machine or a settings file of others already has.
pub(super) fn name_is_free(
    host: &Host,
    loaded: &Loaded,
    name: &MachineName,
    import: Option<&Import>,
) -> Result<()> {
    if let Some(own) = loaded.errors.iter().find(|error| error.path == DIRECTORY) {
        return unchanged(
            format!("{own}"),
            if host.intents().symlink_metadata().is_ok_and(|found| found.is_dir()) {
                format!("'chown root: {DIRECTORY}; chmod 755 {DIRECTORY}' fixes it")
            } else {
                "correct that first".to_owned()
            },
        );
    }
    all_seen(loaded)?;
    if let Some(found) = find(loaded, name) {
        let kind = found.kind();
        return unchanged(format!("{}: container '{name}' ({kind}) already exists", found.path()), "");
    }
    if let Some(note) = imported::note_of(host, name)? {
        return unchanged(
            format!("a container '{name}' was imported and removed, and can still be given back"),
            format!("'nixos-nspawn import --undo {name}' does so, 'rm {}' gives that up", note.display()),
        );
    }
    for folder in host.scope.nspawn_files {
        let file = Path::new(folder).join(format!("{name}.nspawn"));
        if import.is_some_and(|import| import.imported.moves_away(&file)) {
            continue;
        }
        let path = host.directory(folder).join(format!("{name}.nspawn"));
        let ours = || copies::marked(&path).is_ok_and(|mark| mark.is_some());
        if path.symlink_metadata().is_ok() && !ours() {
            return unchanged(
                format!("{}: '{name}' is a container that nixos-nspawn does not manage", path.display()),
                "",
            );
        }
    }
    if host.live() && unit_links::masked(host, name) {
        let unit = unit_name(name);
        return unchanged(format!("{unit} is masked"), format!("run 'systemctl unmask {unit}' first"));
    }
    let runs = import.is_some_and(|import| import.runs);
    if host.live() && !runs && host.registered(name).exists() {
        return unchanged(format!("a machine named '{name}' is already running"), "see 'machinectl'");
    }
    Ok(())
}

//! What an import of a foreign `.nspawn` file does besides that of other programs: it finds the system in the root, and copies
//! it into the host's store if only the root has it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::value::StorePath;
use systemd_unit_syntax::parse;

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::decision::import::{Translation, nspawn};
use crate::fact::importable::Importable;
use crate::fact::nspawn_root;
use crate::host::state_directory;
use crate::host::unit_links::enabled_links;
use crate::nix::root_store::RootStore;
use crate::nix::tool::Nix;

/// A closure that only the store of a root has.
#[derive(Debug)]
pub(crate) struct StoreCopy {
    /// The root.
    pub(crate) root: PathBuf,
    /// The system.
    pub(crate) system: StorePath,
    /// The paths that the host's store does not have.
    pub(crate) paths: Vec<String>,
}

/// Translates a file. Returns the system as well.
pub(super) fn translated(
    host: &Host,
    name: &MachineName,
    found: &Importable,
) -> Result<(Translation, StorePath)> {
    let file = found.file.display();
    let parsed = parse(found.text.as_bytes())
        .map_err(|error| Failed::unchanged(error.at(file.to_string()).to_string(), "correct that line"))?;
    let mut read = nspawn::translate(&parsed.file);
    if let Some(why) = read.no_system {
        return unchanged(format!("{file}: {why}"), "only a container that boots NixOS can be imported");
    }
    let root = root(host, name);
    nspawn_root::check(&root)?;
    let system = match read.system {
        Some(system) => Some(system),
        None => nspawn_root::system(&root)?.or_else(|| running(host, name)),
    };
    let Some(system) = system else {
        return unchanged(
            format!(
                "{}: is no NixOS: neither nix/var/nix/profiles/system nor sbin/init leads to a system",
                root.display()
            ),
            "",
        );
    };
    read.translation.autostart = Some(!enabled_links(host, name)?.is_empty());
    Ok((read.translation, system))
}

/// Returns the system that runs.
fn running(host: &Host, name: &MachineName) -> Option<StorePath> {
    let call = host.program("machinectl").args(["show", name.as_str(), "--property=Leader", "--value"]);
    nspawn_root::running_system(&call.output_if_any()?)
}

/// Returns what has to be copied into the host's store, if it does not have the system. The paths are not listed while the
/// container runs.
pub(super) fn copy(
    host: &Host,
    name: &MachineName,
    system: &StorePath,
    runs: bool,
) -> Result<Option<StoreCopy>> {
    let nix = Nix::find(host)?;
    if nix.is_valid(system)? {
        return Ok(None);
    }
    let root = root(host, name);
    if !nspawn_root::has_in_store(&root, system)? {
        return unchanged(
            format!(
                "{system}: is neither in the host's store nor, with a Nix database, in that of {}",
                root.display()
            ),
            "copy the system to this host by 'nix copy' first",
        );
    }
    let mut paths = Vec::new();
    if !runs {
        paths = RootStore::open(&nix, name, &root)?.closure(system)?;
        paths.retain(|path| !host.path(path).exists());
    }
    Ok(Some(StoreCopy { root, system: system.clone(), paths }))
}

/// Copies a closure.
pub(super) fn carry_out(host: &Host, name: &MachineName, copy: &StoreCopy, unsigned: bool) -> Result<()> {
    let StoreCopy { root, system, paths } = copy;
    let text = format!("store paths that are copied from {}: {}", root.display(), paths.len());
    host.report(Event::Note { name: name.clone(), text });
    let nix = Nix::find(host)?;
    RootStore::open(&nix, name, root)?.copy(system, unsigned)?;
    failpoint("import-closure");
    Ok(())
}

/// Returns the refusal to copy from a root whose container runs, which could put links into the way of Nix meanwhile.
pub(super) fn must_stop(name: &MachineName, root: &Path) -> Failed {
    let unit = unit_name(name);
    Failed::unchanged(
        format!("{unit} runs, and its system must be copied from {} first", root.display()),
        format!("'systemctl stop {unit}' stops it, then import it again with --start"),
    )
}

/// Returns why the container could not run as ours: its unit starts something else.
pub(super) fn unit_of_others(host: &Host, name: &MachineName, found: &Importable) -> Result<Option<Failed>> {
    let unit = unit_name(name);
    let own = host.unit_links().join(&unit);
    if own.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(Some(Failed::unchanged(
            format!("{}: replaces the unit of all containers", own.display()),
            "move it away, and import it again",
        )));
    }
    let replaced = found.unit_settings.iter().find(|(_, key, _)| key == "ExecStart");
    Ok(replaced.map(|(path, ..)| {
        Failed::unchanged(
            format!(
                "{}: sets ExecStart=, so the container would not start as it is recorded",
                path.display()
            ),
            "remove that setting",
        )
    }))
}

fn root(host: &Host, name: &MachineName) -> PathBuf {
    state_directory::directory(host, name)
}

//! Moves what an import takes over from another program, and moves it back.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::host::files::{is_there, open_directory};
use crate::host::imported;
use crate::host::imported::{Imported, Move, Tool};
use crate::host::record::{Record, StateClaim};
use crate::host::remove_tree::remove_tree;
use crate::host::{state_directory, systemd};

/// Moves everything that the record names. The state is copied if it is on another file system.
pub(super) fn carry_out(host: &Host, record: &mut Record) -> Result<()> {
    let Some(imported) = record.details.import.clone() else { return Ok(()) };
    let name = record.name.clone();
    // It may have been started since it was read, while this command waited for the lock.
    if let Some(why) = why_not_stopped(host, imported.tool, &name)? {
        return Err(why.into());
    }
    for (index, one) in imported.moves.iter().enumerate() {
        if one.state {
            state_directory::make_parent(host)?;
        }
        // It also detects a container that no unit runs.
        let unused = match one.state {
            true => Some(state_directory::reserve_root(&host.path(&one.from))?),
            false => None,
        };
        if !one.carry_out(host, &name)? {
            if !one.state {
                let path = one.from.display();
                return Err(Failed::refused(format!("{path}: cannot be renamed within its directory")).into());
            }
            copy(host, record, one, index)?;
        }
        drop(unused);
        failpoint(if one.state { "import-state" } else { "import-moved" });
    }
    if host.live() {
        systemd::daemon_reload(host)?;
    }
    Ok(())
}

/// Copies the state with owners, extended attributes and hard links, and shares its data where the file system can.
fn copy(host: &Host, record: &mut Record, one: &Move, index: usize) -> Result<()> {
    let name = record.name.clone();
    // systemd-tmpfiles removes `.#*` at boot.
    let draft = host.machines().join(format!(".#{name}.importing"));
    drop_draft(host, &name)?;
    if let Some(imported) = &mut record.details.import {
        imported.moves.remove(index);
        imported.copied_from = Some(one.from.clone());
    }
    record.save(host)?;
    host.report(Event::Note {
        name: name.clone(),
        text: format!("{}: is on another file system, so the state is copied", one.from.display()),
    });
    // Nothing is mounted in it, but subvolumes of btrfs are file systems of their own.
    let words = ["--archive", "--reflink=auto", "--sparse=always", "--"];
    host.program("cp").args(words).arg(host.path(&one.from)).arg(&draft).output()?;
    failpoint("import-copied");
    let made = state_directory::identity(&draft)?;
    record.details.state = StateClaim::Made(made);
    record.save(host)?;
    // The data, before anything says that it is complete.
    host.program("sync").args(["--file-system", "--"]).arg(&draft).output()?;
    imported::rename(&draft, &state_directory::directory(host, &name))?;
    Ok(())
}

/// Removes the half copy of a killed import.
fn drop_draft(host: &Host, name: &MachineName) -> Result<()> {
    let draft = format!(".#{name}.importing");
    let parent = open_directory(&host.machines()).with_context(|| host.machines().display().to_string())?;
    remove_tree(&parent, std::ffi::OsStr::new(&draft)).with_context(|| format!("{draft}: cannot be deleted"))
}

/// Moves everything back, and lets the other program's container run again if it did.
pub(super) fn give_back(host: &Host, record: &Record) -> Result<()> {
    let Some(imported) = &record.details.import else { return Ok(()) };
    let name = &record.name;
    if imported.copied_from.is_some() {
        drop_draft(host, name)?;
    }
    for one in imported.moves.iter().rev() {
        one.take_back(host, name)?;
        failpoint("give-back-moved");
    }
    imported::remove_note(host, name)?;
    if !host.live() {
        return Ok(());
    }
    systemd::daemon_reload(host)?;
    if record.details.ran {
        let unit = unit(imported.tool, name);
        if let Err(error) = host.manager("systemctl").args(["start", "--", &unit]).output() {
            host.report(Event::Note {
                name: name.clone(),
                text: format!("{unit} does not start: {error:#}"),
            });
        }
    }
    Ok(())
}

/// Returns the unit that the other program runs the container as.
pub(crate) fn unit(tool: Tool, name: &MachineName) -> String {
    match tool {
        Tool::NixosContainer => format!("container@{name}.service"),
        Tool::PythonNixosNspawn | Tool::Nspawn => unit_name(name),
    }
}

/// Returns why a container cannot be taken over: it starts or stops, or it runs and is not restarted as ours.
pub(super) fn why_not_stopped(host: &Host, tool: Tool, name: &MachineName) -> Result<Option<Failed>> {
    if tool == Tool::PythonNixosNspawn {
        return Ok(None);
    }
    let unit = unit(tool, name);
    let does = match &*systemd::active_state(host, &unit)? {
        "inactive" | "failed" => return Ok(None),
        "active" if tool == Tool::Nspawn => return Ok(None),
        "active" => "runs".to_owned(),
        state => format!("is {state}"),
    };
    let stop = unit.trim_end_matches(".service");
    Ok(Some(Failed::unchanged(
        format!("{unit} {does}"),
        format!("'systemctl stop {stop}' stops it, then import '{name}' again"),
    )))
}

/// Refuses to undo an import whose files cannot be moved back. The profile is removed before.
pub(super) fn can_give_back(
    host: &Host,
    name: &MachineName,
    imported: &Imported,
    profile: &Path,
) -> Result<()> {
    for one in &imported.moves {
        let (from, to) = (host.path(&one.from), host.path(one.to(host, name)));
        // What was in /run is gone after a boot.
        let gone = one.from.starts_with("/run");
        if !one.is_at(&to)? && !one.is_at(&from)? && !gone {
            return Err(Failed::unchanged(
                format!("{}: is not what was imported from {}", to.display(), from.display()),
                "move it back by hand",
            )
            .into());
        }
        if one.is_at(&to)? && one.from != profile && is_there(&from)? {
            return Err(Failed::unchanged(
                format!("{}: exists again, so {} cannot be moved back", from.display(), to.display()),
                "move the former away first",
            )
            .into());
        }
    }
    Ok(())
}

//! Takes a container over from another program, and gives it back. What is moved is recorded before it is; until the end,
//! a killed import is settled as a killed create, which moves everything back.

use std::path::PathBuf;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;
use nixos_nspawn_units::value::StorePath;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::change::create;
use crate::change::create::{CreateOptions, Created};
use crate::change::create_draft;
use crate::change::create_draft::CreateDraft;
use crate::change::forget::forget;
use crate::change::give_back::{can_give_back, unit, why_not_stopped};
use crate::change::import_nspawn;
use crate::change::import_nspawn::StoreCopy;
use crate::change::import_options::Import;
use crate::change::removal::profile_directory;
use crate::change::settle;
use crate::decision::import::{Translation, conf, limits, nixos_container};
use crate::fact::importable;
use crate::fact::importable::Importable;
use crate::fact::lookup::{all_seen, declarative, find};
use crate::host::imported::{Imported, Tool};
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::{profile_links, state_directory, systemd};
use crate::nix::profile;
use crate::nix::source::SourceArguments;

/// A container of another program, translated.
#[derive(Debug)]
pub(crate) struct Translated {
    /// What is taken over.
    pub(crate) import: Import,
    /// The profile that it is built from.
    pub(crate) profile: PathBuf,
    /// The moves, as paths of the system.
    pub(crate) moves: Vec<(PathBuf, PathBuf)>,
    /// What has no counterpart.
    pub(crate) missing: Vec<String>,
    /// What is copied into the host's store before.
    pub(crate) copy: Option<StoreCopy>,
    /// Why it cannot be imported.
    pub(crate) refusal: Option<Failed>,
}

/// The options of an import.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignOptions {
    /// Whether to start a container that does not run.
    pub(crate) start: bool,
    /// Whether to accept a store that root does not own.
    pub(crate) allow_user_store: bool,
    /// Whether to accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
    /// Whether to copy store paths without a signature that the host trusts.
    pub(crate) allow_unsigned: bool,
}

/// Reads and translates a container of another program. Nothing is changed.
pub(crate) fn translated(host: &Host, tool: Tool, name: &MachineName) -> Result<Translated> {
    let found = importable::find(host, tool, name)?;
    let runs = tool != Tool::NixosContainer && systemd::unit_is(host, "is-active", &unit(tool, name))?;
    let mut copy = None;
    let (translation, profile) = match tool {
        Tool::NixosContainer => nixos_container(&found, host)?,
        Tool::Nspawn => {
            let (translation, system) = import_nspawn::translated(host, name, &found)?;
            copy = import_nspawn::copy(host, name, &system, runs)?;
            (translation, PathBuf::from(system.as_str()))
        }
        // Its options are in the profile.
        Tool::PythonNixosNspawn => {
            let stored = profile::store_path(host, &found.profile)?;
            (Translation::default(), PathBuf::from(stored.as_str()))
        }
    };
    let mut refusal = refusal(host, tool, name, &found)?;
    let Importable { imported, .. } = found;
    let moves = imported.moves.iter().map(|one| (one.from.clone(), one.to(host, name))).collect();
    let layer = translation.layer();
    let Translation { autostart, missing, .. } = translation;
    if runs && refusal.is_none() {
        refusal = copy.as_ref().map(|copy| import_nspawn::must_stop(name, &copy.root));
    }
    let import = Import { layer, autostart, imported, runs };
    Ok(Translated { import, profile, moves, missing, copy, refusal })
}

/// Translates the configuration of nixos-container. Returns the profile as well.
fn nixos_container(found: &Importable, host: &Host) -> Result<(Translation, PathBuf)> {
    let file = found.file.display();
    let conf = conf::parse(&found.text).map_err(|fault| {
        Failed::unchanged(format!("{file}:{}: {}", fault.line, fault.reason), "correct that line")
    })?;
    let mut translation = nixos_container::translate(&conf);
    for (path, key, value) in &found.unit_settings {
        limits::limit(key, value, &path.display().to_string(), &mut translation);
    }
    let system = conf.get("SYSTEM_PATH").and_then(|path| path.parse::<StorePath>().ok());
    let profile = system.map_or_else(|| found.profile.clone(), |path| PathBuf::from(path.as_str()));
    profile::store_path(host, &profile)?;
    Ok((translation, profile))
}

/// Returns why a container cannot be imported now.
fn refusal(host: &Host, tool: Tool, name: &MachineName, found: &Importable) -> Result<Option<Failed>> {
    if let Some(target) = &found.declared {
        return Ok(Some(Failed::unchanged(
            format!(
                "{}: links to {}, so the container belongs to the configuration of the host",
                found.file.display(),
                target.display()
            ),
            match tool {
                Tool::Nspawn => "remove it there, and import a copy of the file",
                _ => {
                    "remove it there, and add what lib.fromContainers makes of it \
                     (docs/coming-from-containers.md)"
                }
            },
        )));
    }
    if tool == Tool::PythonNixosNspawn {
        return Ok(None);
    }
    if let Some(why) = why_not_stopped(host, tool, name)? {
        return Ok(Some(why));
    }
    if tool == Tool::Nspawn {
        return import_nspawn::unit_of_others(host, name, found);
    }
    let state = state_directory::directory(host, name);
    Ok(state_directory::exists(host, name).then(|| {
        Failed::unchanged(
            format!("{}: exists already, so the state cannot be moved there", state.display()),
            "move it away first",
        )
    }))
}

fn options<'a>(translated: &'a Translated, options: ForeignOptions) -> CreateOptions<'a> {
    CreateOptions {
        source: SourceArguments { profile: Some(&translated.profile), ..SourceArguments::default() },
        overrides: None,
        start: options.start,
        allow_user_store: options.allow_user_store,
        allow_taken_ports: options.allow_taken_ports,
        applied: None,
        import: Some(&translated.import),
    }
}

/// Returns what an import would record.
pub(crate) fn draft(
    host: &Host,
    name: &MachineName,
    from: &Translated,
    how: ForeignOptions,
) -> Result<CreateDraft> {
    create_draft::draft(host, name, &options(from, how))
}

/// Imports a container. What can be refused is refused before the first write.
pub(crate) fn import(
    host: &Host,
    name: &MachineName,
    from: Translated,
    how: ForeignOptions,
) -> Result<Created> {
    let mut from = from;
    if let Some(refusal) = from.refusal.take() {
        return Err(refusal.into());
    }
    if let Some(copy) = &from.copy {
        import_nspawn::carry_out(host, name, copy, how.allow_unsigned)?;
    }
    draft(host, name, &from, how)?;
    create::create(host, name, &options(&from, how))
}

/// Gives a container back to the program that it was imported from. Returns what was moved.
pub(crate) fn undo(host: &Host, name: &MachineName, dry_run: bool) -> Result<Imported> {
    let _lock = match dry_run {
        true => None,
        false => Some(settle::lock(host, name)?),
    };
    let Some(imported) = Imported::of(host, name)? else {
        return Err(Failed::Usage(format!(
            "container '{name}' was not imported, so there is nothing to undo"
        ))
        .into());
    };
    let loaded = host.load();
    all_seen(&loaded)?;
    let found = find(&loaded, name);
    if found.as_ref().is_some_and(|found| found.kind() == Kind::Declarative) {
        return unchanged(declarative(name), "");
    }
    let profile_directory = match &found {
        Some(found) => profile_directory(host, found, name),
        None => profile_links::proven_directory(host, name),
    };
    can_give_back(host, name, &imported, &profile_directory)?;
    if dry_run {
        return Ok(imported);
    }
    let details =
        RecordDetails { profile_directory, import: Some(imported.clone()), ..RecordDetails::default() };
    let record = Record::begin(host, name, Begun::Removing, details)?;
    forget(host, &record)?;
    Ok(imported)
}

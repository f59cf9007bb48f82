//! Records a container from an archive. The archive is checked completely before anything is done.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Intent, Overrides, parse};
use nixos_nspawn_units::name::MachineName;
use rustix::fs::{CWD, Mode, OFlags, openat, statvfs};

use crate::base::event::{Event, Step};
use crate::base::exit::{Failed, refuse, unchanged, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::new_copy::{NewCopy, check_place, make, make_state, sync_state};
use crate::change::next::layer;
use crate::change::{next, settle, snapshot};
use crate::decision::overrides::{OverrideChanges, over};
use crate::fact::installation;
use crate::host::archive::Description;
use crate::host::archive::extract::Extraction;
use crate::host::archive::read::{Sizes, TakenAttributes, Taker, What, check, read};
use crate::host::intent_file::{self, Conflicts};
use crate::host::{host_file, state_directory};
use crate::nix::profile;
use crate::nix::tool::Nix;

/// What an import did, or would do.
#[derive(Debug, Clone)]
pub(crate) struct Imported {
    /// The name of the container.
    pub(crate) name: MachineName,
    /// Its name in the archive.
    pub(crate) archived: MachineName,
    /// The state.
    pub(crate) state: Option<PathBuf>,
    /// The sizes of what is imported.
    pub(crate) sizes: Sizes,
}

/// The options of an import.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImportOptions<'a> {
    /// The name of the container, if it is another one than in the archive.
    pub(crate) name: Option<&'a MachineName>,
    /// What the administrator sets here, over the options of the build and those set before.
    pub(crate) overrides: Option<&'a OverrideChanges>,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// Imports a container under its own name or another one.
pub(crate) fn import(host: &Host, path: &Path, options: ImportOptions) -> Result<Imported> {
    let ImportOptions { name, overrides, dry_run } = options;
    let nix = Nix::find(host)?;
    if !dry_run {
        installation::check(host)?;
    }
    let file = open(path)?;
    let whole = file.metadata()?.len();
    let shown = path.display();
    let progress = |name: Option<&MachineName>, step: fn(u64, u64) -> Step| {
        let name = name.cloned();
        move |bytes: u64| {
            if let Some(name) = name.clone() {
                host.report(Event::Progress { name, step: Some(step(bytes, whole)) });
            }
        }
    };
    let (description, sizes) = check(&file, &progress(name, |bytes, whole| Step::Verifying { bytes, whole }))
        .map_err(|error| refused(error, &shown.to_string()))?;
    let name = name.unwrap_or(&description.name).clone();
    let _lock = if dry_run { None } else { Some(settle::lock(host, &name)?) };
    check_place(host, &name)?;
    let archived = archived(&description, &name).map_err(|error| refused(error, &shown.to_string()))?;
    let layer = layer(&archived.overrides, overrides)?;
    let mut expected = archived.clone();
    // The options that are archived have the layer of the other host already.
    expected.container = over(&layer, &archived.container).map_err(Failed::refused)?;
    may_be_recorded(host, &name, &expected)?;
    let has_state = sizes.entries > 0;
    check_space(host, sizes.state)?;
    let state = state_directory::directory(host, &name);
    let imported = Imported {
        name: name.clone(),
        archived: description.name.clone(),
        state: has_state.then(|| state.clone()),
        sizes,
    };
    if dry_run {
        return Ok(imported);
    }
    let what = format!("container '{name}' was not imported");
    nix.import(|out| {
        let reading = progress(Some(&name), |bytes, whole| Step::Reading { bytes, whole });
        read(&file, &mut ClosureOnly { out }, &reading).map(drop)
    })
    .map_err(|error| under(error, &what, "nothing was recorded"))?;
    failpoint("import-closure");
    let intent = intent(host, &description, &name, (&archived, layer))
        .map_err(|error| under(error, &what, "nothing was recorded"))?;
    may_be_recorded(host, &name, &intent)?;
    let subvolume = intent.container.activation.snapshot;
    let copy = NewCopy { name: &name, profile: &description.profile, intent };
    make(host, Some(&nix), copy, &what, |record| {
        if !has_state {
            return Ok(());
        }
        make_state(host, &name, subvolume, record)?;
        failpoint("import-made");
        let mut extraction = Extraction::into(&state)?;
        let reading = progress(Some(&name), |bytes, whole| Step::Reading { bytes, whole });
        read(&file, &mut extraction, &reading).map_err(|error| refused(error, &shown.to_string()))?;
        extraction.end()?;
        failpoint("import-filled");
        sync_state(host, &state)
    })?;
    host.report(Event::Progress { name, step: None });
    Ok(imported)
}

/// Opens the archive, which is read several times.
fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).map_err(|error| {
        Failed::Usage(format!("{}: cannot be opened: {}", path.display(), std::io::Error::from(error)))
    })?);
    if !file.metadata()?.is_file() {
        return unchanged(
            format!("{}: is not a regular file", path.display()),
            "an archive is read several times",
        );
    }
    Ok(file)
}

/// Adds the file to a refusal, and that nothing was changed.
fn refused(error: anyhow::Error, file: &str) -> anyhow::Error {
    if interrupt::wanted() {
        return error;
    }
    Failed::unchanged(format!("{file}: {error:#}"), "").into()
}

/// Returns the intent in the archive, with the name that the container gets here.
fn archived(description: &Description, name: &MachineName) -> Result<Intent> {
    let mut value = description.intent.clone();
    let Some(fields) = value.as_object_mut() else {
        return refuse("is damaged: the intent in it is not an object");
    };
    fields.insert("name".to_owned(), serde_json::Value::String(name.to_string()));
    let intent = parse(value.to_string().as_bytes(), name);
    intent.map_err(|fault| Failed::refused(format!("the intent in it cannot be used here: {fault}")).into())
}

/// Returns the intent that is recorded: the options of the profile, which are checked as for a new container, and what the
/// administrator has set.
fn intent(
    host: &Host,
    description: &Description,
    name: &MachineName,
    (archived, layer): (&Intent, Overrides),
) -> Result<Intent> {
    let read = profile::read(host, &description.profile, name)?;
    for text in &read.warnings {
        host.report(Event::ProfileWarning { text: text.clone() });
    }
    let mut source = archived.source.clone().unwrap_or_default();
    source.applied = false;
    let intent = next::intent(host, name, &read, source, layer)?;
    Ok(Intent { autostart: archived.autostart, ..intent })
}

/// Refuses what the generator would refuse, and what other containers have.
fn may_be_recorded(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    let loaded = host_file::load(host)?;
    intent_file::check(&loaded, name, intent, Conflicts::Refused).map_err(|error| {
        under(error, &format!("container '{name}' cannot be imported"), "nothing was changed")
    })?;
    snapshot::check(host, name, intent)
}

/// Refuses state that does not fit.
fn check_space(host: &Host, needed: u64) -> Result<()> {
    let machines = host.machines();
    let on = machines.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let found = statvfs(on).with_context(|| on.display().to_string())?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if needed > free {
        return refuse(format!(
            "{}: {} MiB are free, and the state needs {} MiB, nothing was changed",
            machines.display(),
            free >> 20,
            (needed >> 20) + 1
        ));
    }
    Ok(())
}

/// Passes the closure on, and drops the state.
struct ClosureOnly<'a> {
    out: &'a mut dyn Write,
}

impl Taker for ClosureOnly<'_> {
    fn closure(&mut self, part: &mut dyn Read) -> Result<()> {
        std::io::copy(part, self.out).map(drop).context("nix-store --import")
    }

    fn state(&mut self, _: &[u8], _: What, _: &TakenAttributes) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::archived;
    use crate::host::archive::description;
    use crate::testing::{store_path, web};

    #[test]
    fn an_intent_that_is_no_object_is_damaged() {
        for value in [json!([]), json!("web"), json!(1), json!(null)] {
            let path = store_path("one").parse().unwrap();
            let time = "2026-01-01T00:00:00Z".to_owned();
            let description = description(&web(), value.clone(), path, time);
            let error = archived(&description, &web()).unwrap_err();
            assert_eq!(error.to_string(), "is damaged: the intent in it is not an object", "{value}");
        }
    }
}

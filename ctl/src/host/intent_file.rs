//! Checks an intent against all others and writes it. The generator accepts whatever is written, and the system it
//! names is rooted against garbage collection.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Intent, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Plan, Planned, plan_beside, plan_one};
use nixos_nspawn_units::store::{DIRECTORY, Kind, Loaded, Stored};

use crate::base::exit::{Failed, refuse};
use crate::base::host::Host;
use crate::host::files::write_file;
use crate::host::source_secrets::has_secrets;

/// Which conflicts with other containers are refused.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Conflicts<'a> {
    /// All conflicts are refused.
    Refused,
    /// Conflicts that the present intent does not have are refused.
    NewRefused(&'a Intent),
    /// No conflict is refused; the caller reports them.
    Told,
}

/// Refuses an intent that the generator would refuse, or that conflicts with another container.
pub(crate) fn check(
    loaded: &Loaded,
    name: &MachineName,
    intent: &Intent,
    conflicts: Conflicts,
) -> Result<(Plan, Planned)> {
    let (plan, planned) = planned(loaded, name, intent)?;
    if let Some(refusal) = &planned.refusal {
        return refuse(refusal.clone());
    }
    let had = match conflicts {
        Conflicts::Told => return Ok((plan, planned)),
        Conflicts::Refused => Vec::new(),
        Conflicts::NewRefused(_) if planned.warnings.is_empty() => Vec::new(),
        Conflicts::NewRefused(present) => self::planned(loaded, name, present)?.1.warnings,
    };
    match planned.warnings.iter().find(|conflict| !had.contains(conflict)) {
        Some(conflict) => refuse(format!("container '{name}': {conflict}")),
        None => Ok((plan, planned)),
    }
}

/// Plans an intent together with all others.
fn planned(loaded: &Loaded, name: &MachineName, intent: &Intent) -> Result<(Plan, Planned)> {
    // Parses it as the generator would: whatever is written must be readable.
    let intent = parse(intent.to_json()?.as_bytes(), name)
        .map_err(|fault| Failed::refused(format!("container '{name}': {fault}")))?;
    let path = shown_path(name);
    let stored = Stored { name: name.clone(), kind: Kind::Imperative, path, intent: Box::new(intent) };
    let plan = plan_beside(loaded, &stored);
    let planned = plan.containers.iter().find(|planned| planned.name == *name).cloned();
    let planned = planned.with_context(|| format!("container '{name}' is not in the plan"))?;
    Ok((plan, planned))
}

/// Returns the path of an intent as its plan and messages have it, whatever the root.
pub(crate) fn shown_path(name: &MachineName) -> String {
    format!("{DIRECTORY}/{name}.json")
}

/// Returns the hash of the intent's plan, regardless of other containers.
pub(crate) fn hash(name: &MachineName, intent: &Intent) -> Option<String> {
    let path = shown_path(name);
    let plan = plan_one(name, Kind::Imperative, &path, intent);
    plan.containers.into_iter().next().and_then(|planned| planned.hash)
}

/// Returns the mode of a file with an intent. Only root can read one whose source has secrets.
pub(crate) fn mode(intent: &Intent) -> u32 {
    if intent.source.as_ref().is_some_and(has_secrets) { 0o600 } else { 0o644 }
}

/// Writes the intent atomically and durably.
pub(crate) fn write(host: &Host, name: &MachineName, intent: &Intent) -> Result<()> {
    write_file(&intent_path(host, name), intent.to_json()?.as_bytes(), mode(intent))
}

/// Restores the text of an earlier intent.
pub(crate) fn write_text(host: &Host, name: &MachineName, text: &str) -> Result<()> {
    let has_none = |intent: Intent| !intent.source.as_ref().is_some_and(has_secrets);
    let mode = if parse(text.as_bytes(), name).is_ok_and(has_none) { 0o644 } else { 0o600 };
    write_file(&intent_path(host, name), text.as_bytes(), mode)
}

/// Returns the text of an intent, or `None` if it does not exist.
pub(crate) fn text(host: &Host, name: &MachineName) -> Result<Option<String>> {
    let path = intent_path(host, name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    }
}

/// Returns the text of an intent that must exist.
pub(crate) fn existing_text(host: &Host, name: &MachineName) -> Result<String> {
    let path = intent_path(host, name);
    fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// Returns the path of an imperative container's intent.
pub(crate) fn intent_path(host: &Host, name: &MachineName) -> PathBuf {
    host.intents().join(format!("{name}.json"))
}

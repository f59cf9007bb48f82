//! Checking an intent against all others, and writing it: what is written is what the generator will accept, and the
//! system it names is kept from the garbage collector.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::GC_ROOTS;
use nixos_nspawn_units::intent::{Intent, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Plan, Planned, plan, plan_one};
use nixos_nspawn_units::store::{DIRECTORY, Kind, Loaded, Stored};
use nixos_nspawn_units::value::StorePath;
use nixos_nspawn_units::write::{link, write_durably};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::context::Context;
use crate::exit::{Failed, refuse};

/// Refuses an intent that the generator would refuse, or that conflicts with another container.
pub(crate) fn check(loaded: &Loaded, name: &MachineName, intent: &Intent) -> Result<(Plan, Planned)> {
    // By the generator's own eyes: what is written must be readable.
    let intent = parse(intent.to_json()?.as_bytes(), name)
        .map_err(|fault| Failed::Refused(format!("container '{name}': {fault}")))?;
    let path = format!("{DIRECTORY}/{name}.json");
    let mut all = loaded.clone();
    all.errors.clear();
    all.intents.retain(|stored| stored.name != *name);
    all.intents.push(Stored { name: name.clone(), kind: Kind::Imperative, path, intent });
    let plan = plan(&all);
    let planned = plan.containers.iter().find(|planned| planned.name == *name).cloned();
    let planned = planned.with_context(|| format!("container '{name}' is not in the plan"))?;
    if let Some(refusal) = &planned.refusal {
        return refuse(refusal.clone());
    }
    if let Some(conflict) = planned.warnings.first() {
        return refuse(format!("container '{name}': {conflict}"));
    }
    Ok((plan, planned))
}

/// The hash of an intent's plan, whatever others say.
pub(crate) fn hash(name: &MachineName, intent: &Intent) -> Option<String> {
    let path = format!("{DIRECTORY}/{name}.json");
    let plan = plan_one(name, Kind::Imperative, &path, intent);
    plan.containers.into_iter().next().and_then(|planned| planned.hash)
}

/// Writes the intent, at once and for good.
pub(crate) fn write(context: &Context, name: &MachineName, intent: &Intent) -> Result<()> {
    write_text(context, name, &intent.to_json()?)
}

/// Writes the text of an intent, as it was before.
pub(crate) fn write_text(context: &Context, name: &MachineName, text: &str) -> Result<()> {
    let directory = context.path(DIRECTORY);
    let fd = openat(CWD, &directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    write_durably(&fd, &format!("{name}.json"), text.as_bytes(), Mode::from_raw_mode(0o644))
        .with_context(|| format!("{}/{name}.json: cannot be written", directory.display()))
}

/// Keeps the recorded system: the collector must not take it, whatever happens to the profile.
pub(crate) fn keep(context: &Context, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    root(context, name.as_str(), toplevel)
}

/// Keeps the system that the live container has after a reload.
pub(crate) fn keep_running(context: &Context, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    root(context, &format!("{name}-running"), toplevel)
}

fn root(context: &Context, name: &str, toplevel: &StorePath) -> Result<()> {
    let roots = context.path(Path::new("/").join(GC_ROOTS));
    fs::create_dir_all(&roots).with_context(|| roots.display().to_string())?;
    let fd = openat(CWD, &roots, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    link(&fd, name, toplevel.as_str())
        .with_context(|| format!("{}/{name}: cannot be linked", roots.display()))
}

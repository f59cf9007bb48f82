//! Makes the containers of this host what a flake says: creates, updates, starts and, if asked, removes them. Each is
//! changed by the operation of its own command, so a killed apply is continued by the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, anyhow};
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::under;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::ahead::remove_links;
use crate::change::autostart::{StartOutcome, start_these};
use crate::change::create::{CreateOptions, create_with};
use crate::change::host_flake::HostFlake;
use crate::change::remove::{RemoveOptions, remove};
use crate::change::side_by_side;
use crate::change::side_by_side::Limits;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::{UpdateResult, Updated};
use crate::decision::activation_order::activation_order;
use crate::decision::host_flake::Part;
use crate::host::update_memory::BuiltFrom;
use crate::nix::build::{Draft, Request};
use crate::nix::source::{SourceArguments, Wanted};
use crate::nix::tool::{Build, Nix};

/// The options of an apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplyOptions<'a> {
    /// How containers that exist are updated.
    pub(crate) update: UpdateOptions<'a>,
    /// Whether to remove what the flake no longer has.
    pub(crate) prune: bool,
    /// Whether to start what should run.
    pub(crate) start: bool,
    /// How many builds and activations may run at the same time.
    pub(crate) limits: Limits,
}

/// Applies a flake. Returns the results by name; after an interrupt, of what was begun.
pub(crate) fn apply(host: &Host, nix: &Nix, flake: &HostFlake, options: &ApplyOptions) -> Vec<Updated> {
    let of = |part: &Part| -> Vec<MachineName> {
        flake.parts.iter().filter(|(_, one)| *one == part).map(|(name, _)| name.clone()).collect()
    };
    let mut results: BTreeMap<MachineName, Updated> = BTreeMap::new();
    for (name, part) in &flake.parts {
        if let Part::Leave(why) = part {
            results.insert(name.clone(), Updated::skipped(name, None, why.clone()));
        }
    }
    // What is gone makes room first: its ports and names may be another's now.
    for name in of(&Part::Gone) {
        if interrupt::check().is_err() {
            break;
        }
        results.insert(name.clone(), gone(host, &name, options.prune));
    }
    let new = of(&Part::Create);
    let due = of(&Part::Update);
    create_all(host, nix, flake, &new, options, &mut results);
    if interrupt::check().is_ok() && !due.is_empty() {
        let loaded = host.load();
        let due = activation_order(&loaded, due);
        for (at, result, time) in
            side_by_side::update_all(host, nix, (&loaded, &due), &options.update, options.limits)
        {
            let name = &due[at];
            let updated = result.unwrap_or_else(|error| Updated::failed(name, &error));
            results.insert(name.clone(), updated.with_time(time));
        }
        remove_links(host, &loaded, &due);
    }
    if options.start && interrupt::check().is_ok() {
        start(host, &mut results);
    }
    results.into_values().collect()
}

/// Removes what the flake no longer has, if that is asked for.
fn gone(host: &Host, name: &MachineName, prune: bool) -> Updated {
    if !prune {
        let why =
            "the flake no longer has it for this host; --prune removes it and keeps its state".to_owned();
        return Updated { result: UpdateResult::Gone, reason: Some(why), ..Updated::nothing(name, None) };
    }
    let begun = Instant::now();
    let options = RemoveOptions { delete_state: false, dry_run: false };
    let result = match remove(host, name, options) {
        Ok(_) => Updated { result: UpdateResult::Removed, ..Updated::nothing(name, None) },
        Err(error) => Updated::failed(name, &error),
    };
    result.with_time(begun.elapsed())
}

/// A container that is to be created.
struct New<'a> {
    name: &'a MachineName,
    /// The reference to record.
    flake: String,
}

/// Builds all new containers, and then creates one after the other, without a start.
fn create_all(
    host: &Host,
    nix: &Nix,
    flake: &HostFlake,
    names: &[MachineName],
    options: &ApplyOptions,
    results: &mut BTreeMap<MachineName, Updated>,
) {
    let new: Vec<New> =
        names.iter().map(|name| New { name, flake: format!("{}#{name}", flake.reference) }).collect();
    let begun = Instant::now();
    let mut builds = build_all(host, nix, flake, &new, options);
    let building = begun.elapsed();
    for one in &new {
        if interrupt::check().is_err() {
            break;
        }
        let begun = Instant::now();
        let created = match builds.remove(one.name) {
            Some(Ok(built)) => {
                let given = create_options(one, options);
                create_with(host, Some(nix), one.name, &given, Some(&built)).map(|created| created.intent)
            }
            Some(Err(error)) => Err(error),
            None => Err(anyhow!("container '{}' was not built", one.name)),
        };
        let result = match created {
            Ok(intent) => Updated {
                result: UpdateResult::Created,
                old_generation: None,
                ..Updated::nothing(one.name, intent.generation)
            },
            Err(error) => Updated::failed(
                one.name,
                &under(error, &format!("container '{}' was not created", one.name), "nothing was changed"),
            ),
        };
        results.insert(one.name.clone(), result.with_time(building + begun.elapsed()));
    }
}

fn create_options<'a>(one: &'a New, options: &ApplyOptions<'a>) -> CreateOptions<'a> {
    CreateOptions {
        source: SourceArguments { flake: Some(&one.flake), save_args: true, ..options.update.source },
        start: false,
        allow_user_store: false,
        allow_taken_ports: options.update.allow_taken_ports,
        applied: true,
    }
}

/// Builds new containers in parallel. Nothing protects the results from a garbage collection until they are created, which
/// builds them again then.
fn build_all(
    host: &Host,
    nix: &Nix,
    flake: &HostFlake,
    new: &[New],
    options: &ApplyOptions,
) -> BTreeMap<MachineName, Result<BuiltFrom>> {
    let mut results: BTreeMap<MachineName, Result<BuiltFrom>> = BTreeMap::new();
    let mut drafts: Vec<(&New, Wanted, Draft)> = Vec::new();
    for one in new {
        match (create_options(one, options).source.wanted(host, None), flake.attributes.get(one.name)) {
            (Ok(wanted), Some(attribute)) => {
                let draft =
                    request(host, nix, one.name, &wanted).draft_of(flake.at.clone(), attribute.clone());
                drafts.push((one, wanted, draft));
            }
            (Err(error), _) => drop(results.insert(one.name.clone(), Err(error))),
            (_, None) => {}
        }
    }
    if drafts.is_empty() {
        return results;
    }
    host.report(Event::Building { names: drafts.iter().map(|(one, ..)| one.name.clone()).collect() });
    let builds: Vec<Build> = drafts
        .iter()
        .map(|(_, wanted, draft)| Build {
            what: &draft.what,
            accepted: draft.accepted,
            link: None,
            arguments: &wanted.arguments,
            limit: None,
        })
        .collect();
    let outputs = Mutex::new(BTreeMap::new());
    nix.build_all(&builds, options.limits.builds, &|at, output| {
        outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(at, output);
    });
    let mut outputs = outputs.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (at, (one, wanted, draft)) in drafts.iter().enumerate() {
        let built = match outputs.remove(&at) {
            Some(Ok(output)) => {
                let made = request(host, nix, one.name, wanted).finished(draft.clone(), output);
                made.from.ok_or_else(|| anyhow!("container '{}' was not built from a flake", one.name))
            }
            Some(Err(unbuilt)) => Err(unbuilt.error.into()),
            None => Err(anyhow!("interrupted")),
        };
        results.insert(one.name.clone(), built);
    }
    results
}

fn request<'a>(host: &'a Host, nix: &'a Nix<'a>, name: &'a MachineName, wanted: &'a Wanted) -> Request<'a> {
    Request { host, nix: Some(nix), name, wanted, recorded: None, last: None, limit: None }
}

/// Starts what was created, and what starts with the host but does not run.
fn start(host: &Host, results: &mut BTreeMap<MachineName, Updated>) {
    let loaded = host.load();
    let created =
        |name: &MachineName| results.get(name).is_some_and(|one| one.result == UpdateResult::Created);
    let at_rest: BTreeSet<MachineName> = results
        .values()
        .filter(|one| matches!(one.result, UpdateResult::Updated | UpdateResult::UpToDate))
        .map(|one| one.name.clone())
        .collect();
    let due: Vec<MachineName> = loaded
        .intents
        .iter()
        .filter(|stored| {
            created(&stored.name) || at_rest.contains(&stored.name) && stored.intent.starts_at_boot()
        })
        .map(|stored| stored.name.clone())
        .collect();
    if due.is_empty() {
        return;
    }
    let begun = Instant::now();
    let outcomes = match start_these(host, &due) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            for name in due {
                if let Some(one) = results.get_mut(&name) {
                    *one = Updated::failed(&name, &error).with_time(begun.elapsed());
                }
            }
            return;
        }
    };
    for (name, outcome) in outcomes {
        let Some(one) = results.get_mut(&name) else { continue };
        match not_started(&name, &outcome) {
            Some(why) => {
                let generation = one.generation;
                let failed = Updated { generation, ..Updated::failed(&name, &anyhow!(why)) };
                *one = failed.with_time(begun.elapsed());
            }
            None if outcome == StartOutcome::Started && one.result == UpdateResult::UpToDate => {
                one.result = UpdateResult::Started;
            }
            None => {}
        }
    }
}

/// Returns why a container does not run, if that is a failure, and what to do.
fn not_started(name: &MachineName, outcome: &StartOutcome) -> Option<String> {
    let why = match outcome {
        StartOutcome::AlreadyRunning | StartOutcome::Started | StartOutcome::Masked => return None,
        StartOutcome::Refused(why) => return Some(format!("container '{name}' is refused: {why}")),
        StartOutcome::Busy => "another command is changing it; apply again",
        StartOutcome::NotLoaded | StartOutcome::WouldStart => {
            "systemd has not loaded its settings; 'systemctl daemon-reload'"
        }
        StartOutcome::WithoutSettings => {
            return Some(format!(
                "container '{name}' runs without its settings; 'systemctl daemon-reload' and 'systemctl restart \
                 systemd-nspawn@{name}'"
            ));
        }
        StartOutcome::Failed { active, result } => {
            return Some(format!(
                "container '{name}' is recorded, but did not start ({active}, {result}); 'nixos-nspawn status {name}' \
                 shows why"
            ));
        }
    };
    Some(format!("container '{name}' was not started: {why}"))
}

//! Makes the containers of this host what a flake says: creates, updates, starts and, if asked, removes them. Each is
//! changed by the operation of its own command, so a killed apply is continued by the next one.

use std::time::Instant;

use anyhow::anyhow;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::ahead::remove_links;
use crate::change::applied::{Applied, Results, fail};
use crate::change::apply_options::ApplyOptions;
use crate::change::autostart::{StartOutcome, start_these};
use crate::change::create_applied::{built, create_all};
use crate::change::host_flake::{HostFlake, may_be_removed};
use crate::change::remove::remove_if;
use crate::change::side_by_side;
use crate::change::updated::{UpdateResult, Updated};
use crate::decision::activation_order::activation_order;
use crate::decision::host_flake::Part;
use crate::host::last_activation::AppliedAction;
use crate::nix::tool::Nix;

/// Applies a flake. Returns the results in the order of the names; after an interrupt, of what was begun.
pub(crate) fn apply(host: &Host, nix: &Nix, flake: &HostFlake, options: &ApplyOptions) -> Vec<Applied> {
    let of = |part: &Part| -> Vec<MachineName> {
        flake.parts.iter().filter(|(_, one)| *one == part).map(|(name, _)| name.clone()).collect()
    };
    let mut results = Results::new();
    for (name, part) in &flake.parts {
        let left = match part {
            Part::Leave(why) => Updated::skipped(name, None, why.clone()),
            Part::Conflict(why) => Updated::failed(name, &anyhow!("{why}")),
            Part::Create | Part::Update | Part::Gone => continue,
        };
        results.insert(name.clone(), left.into());
    }
    // What is gone makes room first: its ports and names may be another's now.
    for name in of(&Part::Gone) {
        if interrupt::check().is_err() {
            break;
        }
        results.insert(name.clone(), gone(host, flake, &name, options.prune).into());
    }
    let mut new = built(host, nix, flake, &of(&Part::Create), options, &mut results);
    create_all(host, nix, &mut new, options, &mut results);
    let due = of(&Part::Update);
    if interrupt::check().is_ok() && !due.is_empty() {
        let loaded = host.load();
        let due = activation_order(&loaded, due);
        for (at, result, time) in
            side_by_side::update_all(host, nix, (&loaded, &due), &options.update, options.limits)
        {
            let name = &due[at];
            let updated = result.unwrap_or_else(|error| Updated::failed(name, &error));
            results.insert(name.clone(), updated.with_time(time).into());
        }
        remove_links(host, &loaded, &due);
        // An update may have given up what a new container needs, such as a port.
        create_all(host, nix, &mut new, options, &mut results);
    }
    if options.start && interrupt::check().is_ok() {
        start(host, &mut results);
    }
    results.into_values().collect()
}

/// Removes what the flake no longer has, if that is asked for.
fn gone(host: &Host, flake: &HostFlake, name: &MachineName, prune: bool) -> Updated {
    let left = |why: &str| Updated {
        result: UpdateResult::Gone,
        reason: Some(why.to_owned()),
        ..Updated::nothing(name, None)
    };
    match (prune, &flake.at.stale) {
        (false, _) => {
            return left("the flake no longer has it for this host; --prune removes it and keeps its state");
        }
        (true, Some(stale)) => {
            let left = left("it is not removed, since the flake could not be refreshed");
            return left.with_stale(Some(stale.clone()));
        }
        (true, None) => {}
    }
    let begun = Instant::now();
    let result = match remove_if(host, name, |stored| may_be_removed(host, stored, &flake.reference)) {
        Ok(true) => Updated { result: UpdateResult::Removed, ..Updated::nothing(name, None) },
        Ok(false) => Updated::skipped(name, None, "was changed by another command meanwhile".to_owned()),
        Err(error) => Updated::failed(name, &error),
    };
    result.with_time(begun.elapsed())
}

/// Starts what starts with the host but does not run.
fn start(host: &Host, results: &mut Results) {
    let loaded = host.load();
    let ready = |name: &MachineName| {
        results.get(name).is_some_and(|one| {
            matches!(
                one.updated.result,
                UpdateResult::Created | UpdateResult::Updated | UpdateResult::UpToDate
            )
        })
    };
    let due = loaded.intents.iter().filter(|stored| stored.intent.starts_at_boot() && ready(&stored.name));
    let due: Vec<MachineName> = due.map(|stored| stored.name.clone()).collect();
    if due.is_empty() {
        return;
    }
    let begun = Instant::now();
    let outcomes = match start_these(host, &due) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            for name in due {
                fail(results, &name, &format!("container '{name}' was not started: {error:#}"));
            }
            return;
        }
    };
    for (name, outcome) in outcomes {
        if let Some(why) = not_started(&name, &outcome) {
            fail(results, &name, &why);
        } else if let (StartOutcome::Started, Some(one)) = (&outcome, results.get_mut(&name)) {
            one.changed = true;
            one.updated.seconds += begun.elapsed().as_secs_f64().round();
            one.updated.action = Some(AppliedAction::Start);
            one.updated.reason = Some("it starts with the host".to_owned());
            if one.updated.result == UpdateResult::UpToDate {
                one.updated.result = UpdateResult::Started;
            }
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

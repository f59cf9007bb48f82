//! Updates a container: builds it from its recorded source or another one, and switches to the result. What cannot be
//! checked beforehand is watched afterwards, and reverted if it fails.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Expect, Intent, Overrides};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::under;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::conditions::{check_ports, ready};
use crate::change::gate::Before;
use crate::change::next::{
    MadeAhead, Next, decision, known, layer, newest, next, of_build, profile_folder, same_but_source,
    unlocked,
};
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::reach::Approved;
use crate::change::skip::{failed_before, skipped};
use crate::change::switch::Switch;
use crate::change::switch_options::{StateChange, Target};
use crate::change::update_options::UpdateOptions;
use crate::change::updated::{UpdateResult, Updated};
use crate::change::{reach, settle, snapshot};
use crate::decision::activation::{Action, Decision};
use crate::decision::host_flake::applied_from;
use crate::fact::lookup::imperative;
use crate::fact::{dependents, host_network, setuid_places};
use crate::host::intent_file::Conflicts;
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::update_memory::{Failure, FailureKind, UpdateMemory};
use crate::host::{credentials, host_file, intent_file, systemd};
use crate::nix::build::Made;
use crate::nix::tool::Nix;

/// Updates one container: builds, checks and switches. Uses the result in `ahead` instead of a build, if there is
/// one and the container has not been changed since.
pub(crate) fn update(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    options: &UpdateOptions,
    ahead: Option<MadeAhead>,
) -> Result<Updated> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load_one(name);
    let old = imperative(&loaded, name)?;
    if options.applied_from.is_some_and(|flake| applied_from(name, old.source.as_ref()) != Some(flake)) {
        let why = "was changed by another command meanwhile".to_owned();
        return Ok(Updated::skipped(name, old.generation, why));
    }
    let directory = profile_folder(host, name, old);
    let memory = UpdateMemory::read(host, name, &directory)?;
    if let Some(reason) = skipped(old, &memory).filter(|_| options.all) {
        return Ok(Updated::skipped(name, old.generation, reason));
    }
    let ahead = ahead.filter(|ahead| ahead.fits(old)).map(|ahead| ahead.made);
    let mut output = None;
    let updated = attempt(host, nix, (name, old), options, ahead, &mut output);
    let remembered = match &updated {
        Ok(updated) if updated.result == UpdateResult::Skipped => Ok(()),
        // A source that was not refreshed says nothing about the failure.
        Ok(updated) if updated.not_refreshed.is_some() => Ok(()),
        Ok(updated) if updated.result == UpdateResult::UpToDate => {
            UpdateMemory::change(host, name, &directory, |memory| memory.up_to_date(output.as_ref()))
        }
        // The switch has remembered it.
        Ok(_) => Ok(()),
        Err(_) if interrupt::check().is_err() || !host.path(&directory).is_dir() => Ok(()),
        Err(error) => {
            let failure = Failure::now(FailureKind::Failed, format!("{error:#}"), output);
            UpdateMemory::change(host, name, &directory, |memory| memory.fails(failure))
        }
    };
    if let Err(error) = remembered {
        host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
    }
    updated
}

/// Performs the update. Sets `output` to the profile once it is activated, even if that fails, or if it is already
/// active.
fn attempt(
    host: &Host,
    nix: &Nix,
    (name, old): (&MachineName, &Intent),
    options: &UpdateOptions,
    ahead: Option<Result<Made>>,
    output: &mut Option<StorePath>,
) -> Result<Updated> {
    let directory = profile_folder(host, name, old);
    // A mistake in it is found before a build.
    let layer = layer(&old.overrides, options.overrides)?;
    if ahead.is_none() {
        match known(host, nix, name, old, (&options.source, &layer)) {
            // Nothing is written.
            Ok(Some(next)) if same(old, &next.intent) => {
                *output = Some(next.profile);
                return Ok(Updated::nothing(name, old.generation).with_stale(next.stale));
            }
            Ok(Some(next)) => {
                if let Some(reason) = failed_before(host, name, &directory, &next, options)? {
                    return Ok(Updated::skipped(name, old.generation, reason));
                }
            }
            Ok(None) => {}
            Err(error) => return Err(not_updated(error, name)),
        }
    }
    // Not before: nothing of systemd has to be asked for a container that does not change.
    ready(host, name, old)?;
    // What an earlier command accepted must not be put back by this one.
    snapshot::keep(host, name)?;
    align_profile(host, nix, old);
    let details = RecordDetails {
        profile_directory: directory.clone(),
        old_intent: intent_file::existing_text(host, name)?,
        newest_generation: newest(host, name, old)?,
        ran: !systemd::state(host, name)?.stopped(),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Updating, details)?;
    let prepared = prepare(host, nix, (name, old, &layer), options, &directory, ahead);
    let (next, decision, only_takes_away) = match prepared {
        Ok(Prepared::Switch { next, decision, runs, only_takes_away }) => {
            // It may have been started or stopped during the build.
            record.details.ran = runs;
            (next, decision, only_takes_away)
        }
        Ok(Prepared::Nothing(next)) => {
            *output = Some(next.profile);
            remove_pending(host, &directory);
            record.finish(host)?;
            return Ok(Updated::nothing(name, old.generation).with_stale(next.stale));
        }
        Ok(Prepared::FailedBefore(reason)) => {
            remove_pending(host, &directory);
            record.finish(host)?;
            return Ok(Updated::skipped(name, old.generation, reason));
        }
        Err(error) => {
            interrupt::clean_up_begins();
            remove_pending(host, &directory);
            record.finish(host)?;
            interrupt::clean_up_ends();
            return Err(not_updated(error, name));
        }
    };
    let (before, stale) = (old.generation, next.stale);
    let switch = Switch {
        host,
        nix,
        name,
        target: Target::New(next.profile.clone()),
        remembered: Some(next.profile.clone()),
        decision,
        activation: options.activation,
        state: match next.intent.container.activation.snapshot {
            true => StateChange::Snapshot,
            false => StateChange::None,
        },
        approved: Approved::No,
        before: Before::default(),
        snapshot: None,
        new: next.intent,
        only_takes_away,
    };
    let switched = switch.run(&mut record);
    *output = record.details.phase.touched().then_some(next.profile);
    Ok(Updated::switched(name, before, switched?, UpdateResult::Updated).with_stale(stale))
}

fn not_updated(error: anyhow::Error, name: &MachineName) -> anyhow::Error {
    under(error, &format!("container '{name}' was not updated"), "nothing was changed")
}

/// Returns whether both intents are the same, so that nothing has to be recorded.
fn same(old: &Intent, new: &Intent) -> bool {
    same_but_source(old, new) && unlocked(old) == unlocked(new) && old.overrides == new.overrides
}

enum Prepared {
    Switch {
        next: Box<Next>,
        decision: Decision,
        /// Whether the container runs, as the decision assumes.
        runs: bool,
        /// Whether the change only takes reach away.
        only_takes_away: bool,
    },
    Nothing(Box<Next>),
    /// The reason why this generation is not activated again.
    FailedBefore(String),
}

/// Builds and checks; creates nothing except the link of the build.
fn prepare(
    host: &Host,
    nix: &Nix,
    (name, old, layer): (&MachineName, &Intent, &Overrides),
    options: &UpdateOptions,
    directory: &Path,
    ahead: Option<Result<Made>>,
) -> Result<Prepared> {
    let below = host.path(directory);
    std::fs::create_dir_all(&below).with_context(|| below.display().to_string())?;
    let next = match ahead {
        Some(made) => of_build(host, name, old, made?, layer)?,
        None => next(host, nix, name, old, (&options.source, layer), Some(&directory.join("pending")))?,
    };
    failpoint("built");
    UpdateMemory::change(host, name, directory, |memory| memory.built.clone_from(&next.from))?;
    if same_but_source(old, &next.intent) {
        if !same(old, &next.intent) {
            let _global = Lock::global(host)?;
            intent_file::write(host, name, &next.intent)?;
            drop(_global);
            // The drop-in names the file in SourcePath=, so systemctl would warn that it has changed.
            if let Err(error) = systemd::daemon_reload(host) {
                host.report(Event::SourceNotLoaded { name: name.clone(), error: format!("{error:#}") });
            }
        }
        return Ok(Prepared::Nothing(Box::new(next)));
    }
    if let Some(reason) = failed_before(host, name, directory, &next, options)? {
        return Ok(Prepared::FailedBefore(reason));
    }
    snapshot::check(host, name, &next.intent)?;
    let changes = reach::check(host, name, [old, &next.intent], options.consent, Approved::No)?;
    host_network::check_uplinks(host, name, &next.intent.container)?;
    let loaded = host_file::load(host)?;
    check_ports(host, Some(&loaded), name, Some(old), &next.intent, options.allow_taken_ports)?;
    intent_file::check(&loaded, name, &next.intent, Conflicts::NewRefused(old))?;
    let notes = setuid_places::warning(host, name, &next.intent, Some(old)).into_iter();
    for text in notes.chain(dependents::unknown_names(&loaded, &next.intent)) {
        host.report(Event::Note { name: name.clone(), text });
    }
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decision(host, name, old, &next.intent, options.activation.strategy, runs)?;
    if decision.action == Action::Restart {
        credentials::check_credentials(host, name, &next.intent)?;
    }
    if options.activation.expectation.expect == Some(Expect::None)
        && decision.action == Action::AtNextStart
        && options.activation.expectation.check.is_some()
    {
        host.report(Event::CheckSkipped);
    }
    let only_takes_away = changes.only_takes_away();
    Ok(Prepared::Switch { next: Box::new(next), decision, runs, only_takes_away })
}

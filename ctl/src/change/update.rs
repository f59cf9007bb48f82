//! Updates a container: builds it from its recorded source or another one, and switches to the result. What cannot be
//! checked beforehand is watched afterwards, and reverted if it fails.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Expect, Intent, Strategy};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::under;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::gate::Before;
use crate::change::next::{
    MadeAhead, Next, check_ports, decision, known, newest, next, of_build, profile_folder, ready,
    same_but_source, unlocked,
};
use crate::change::planned::Planned;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::reach::Approved;
use crate::change::switch::{Activation, Switch, Target};
use crate::change::updated::{UpdateResult, Updated};
use crate::change::{reach, settle};
use crate::decision::activation::{Action, Decision};
use crate::decision::reach::Consent;
use crate::fact::lookup::imperative;
use crate::fact::{dependents, host_network, setuid_places};
use crate::host::intent_file::Conflicts;
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::update_memory::{Failure, FailureKind, Hold, UpdateMemory};
use crate::host::{credentials, host_file, intent_file, systemd};
use crate::nix::build::Made;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// The options of an update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpdateOptions<'a> {
    /// The source of the new system.
    pub(crate) source: SourceArguments<'a>,
    /// How it is activated.
    pub(crate) activation: Activation<'a>,
    /// The additional reach into the host that is accepted.
    pub(crate) consent: Consent<'a>,
    /// Whether to accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
    /// Whether this is `--all`, which skips containers that are held or have no source.
    pub(crate) all: bool,
    /// Whether a generation that failed before is activated again.
    pub(crate) retry: bool,
}

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
    let loaded = host.load();
    let old = imperative(&loaded, name)?;
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

/// Returns why `update --all` skips a container.
fn skipped(old: &Intent, memory: &UpdateMemory) -> Option<String> {
    let source = old.source.as_ref();
    if source
        .is_none_or(|source| source.flake.is_none() && source.config.is_none() && source.profile.is_none())
    {
        return Some("has no source to build from".to_owned());
    }
    memory.hold.as_ref().map(Hold::text)
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
    ready(host, name, old)?;
    let directory = profile_folder(host, name, old);
    if ahead.is_none() {
        match known(host, nix, name, old, &options.source) {
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
    align_profile(host, nix, old);
    let details = RecordDetails {
        profile_directory: directory.clone(),
        old_intent: std::fs::read_to_string(crate::host::intent_file::intent_path(host, name))?,
        newest_generation: newest(host, name, old)?,
        ran: !systemd::state(host, name)?.stopped(),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Updating, details)?;
    let prepared = prepare(host, nix, (name, old), options, &directory, ahead);
    let (next, decision, only_takes_away) = match prepared {
        Ok(Prepared::Switch(next, decision, only_takes_away)) => (next, decision, only_takes_away),
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
        approved: Approved::No,
        before: Before::default(),
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
    same_but_source(old, new) && unlocked(old) == unlocked(new)
}

enum Prepared {
    /// And whether the change only takes reach away.
    Switch(Box<Next>, Decision, bool),
    Nothing(Box<Next>),
    /// The reason why this generation is not activated again.
    FailedBefore(String),
}

/// Returns why the profile is not activated again, if it failed before.
fn failed_before(
    host: &Host,
    name: &MachineName,
    folder: &Path,
    next: &Next,
    options: &UpdateOptions,
) -> Result<Option<String>> {
    let memory = UpdateMemory::read(host, name, folder)?;
    let Some(failure) = memory.failed(&next.profile).filter(|_| options.all && !options.retry) else {
        return Ok(None);
    };
    let reason = not_again(failure);
    // Other failures since do not matter: this one prevents the update.
    UpdateMemory::change(host, name, folder, |memory| memory.failure = Some(failure.clone()))?;
    Ok(Some(reason))
}

/// Describes why a profile that failed before is not activated again.
fn not_again(failure: &Failure) -> String {
    format!("{}; --retry tries it again", failure.text())
}

/// Builds and checks; creates nothing except the link of the build.
fn prepare(
    host: &Host,
    nix: &Nix,
    (name, old): (&MachineName, &Intent),
    options: &UpdateOptions,
    directory: &Path,
    ahead: Option<Result<Made>>,
) -> Result<Prepared> {
    let below = host.path(directory);
    std::fs::create_dir_all(&below).with_context(|| below.display().to_string())?;
    let next = match ahead {
        Some(made) => of_build(host, name, old, made?)?,
        None => next(host, nix, name, old, &options.source, Some(&directory.join("pending")))?,
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
    let changes = reach::check(host, name, [old, &next.intent], options.consent, Approved::No)?;
    host_network::check_uplinks(host, name, &next.intent.container)?;
    let loaded = host_file::load(host)?;
    check_ports(host, &loaded, name, Some(old), &next.intent, options.allow_taken_ports)?;
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
    Ok(Prepared::Switch(Box::new(next), decision, changes.only_takes_away()))
}

/// Finds out what an update would change and do, by the same steps; one of all skips what that
/// would skip, unless it is tried again. It changes nothing but the Nix store.
pub(crate) fn plan(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    source: &SourceArguments,
    given: Option<Strategy>,
    (all, retry): (bool, bool),
) -> Result<Planned> {
    let loaded = host_file::load(host)?;
    let old = imperative(&loaded, name)?;
    let memory = if all {
        UpdateMemory::read(host, name, &profile_folder(host, name, old))?
    } else {
        UpdateMemory::default()
    };
    if let Some(reason) = skipped(old, &memory).filter(|_| all) {
        return Ok(Planned::skipped(name, old.generation, reason));
    }
    let next = next(host, nix, name, old, source, None)?;
    if same_but_source(old, &next.intent) {
        return Ok(Planned::nothing(name, old.generation));
    }
    if let Some(failure) = memory.failed(&next.profile).filter(|_| !retry) {
        return Ok(Planned::skipped(name, old.generation, not_again(failure)));
    }
    intent_file::check(&loaded, name, &next.intent, Conflicts::NewRefused(old))?;
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decision(host, name, old, &next.intent, given, runs)?;
    let mut planned = Planned::of(host, name, [old, &next.intent], decision, None, Approved::No)?;
    planned.notes.extend(dependents::unknown_names(&loaded, &next.intent));
    Ok(planned)
}

//! The way back after a switch that failed or was killed: intent, profile, units and the container, as they were before.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use nixos_nspawn_units::intent::{Expect, Intent, parse};
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::effect::{Reloaded, StartLimit};
use crate::change::gate::{Before, Gate};
use crate::change::next::limit_or_start;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::{effect, gate, kept_edit, snapshot};
use crate::decision::crash_loop::SETTLING;
use crate::fact::dependents;
use crate::fact::generations::generations;
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record};
use crate::host::{gc_roots, intent_file, networkd, profile_links, sockets, systemd};
use crate::nix::tool::Nix;

/// How the container itself returns to the old generation.
pub(crate) enum Way<'a> {
    /// It was not touched.
    Recorded,
    /// By a reload, as for the new generation, or by a restart if it does not reach its previous state then.
    Reload {
        /// The units inside before the change.
        before: &'a Before,
        /// The time limit given for the change; the start timeout by default.
        limit: Option<Duration>,
    },
    /// By a restart.
    Restart,
}

/// Reverts to the intent of the record: profile, intent, units, and the container itself.
pub(crate) fn take_back(host: &Host, nix: &Nix, record: &mut Record, way: Way) -> Result<()> {
    let name = &record.name.clone();
    let details = &record.details;
    let old =
        parse(details.old_intent.as_bytes(), name).map_err(|fault| anyhow!("the old intent: {fault}"))?;
    // From the record: the file may contain the old intent again, if an earlier reversal was killed.
    let new = parse(details.new_intent.as_bytes(), name).ok();
    let edited = {
        let _global = Lock::global(host)?;
        let present = intent_file::text(host, name)?;
        let known = [&details.old_intent, &details.new_intent];
        // On a full disk even an unchanged file cannot be rewritten.
        if present.as_ref().is_none_or(|text| *text == details.new_intent && *text != details.old_intent) {
            intent_file::write_text(host, name, &details.old_intent)?;
        }
        present.filter(|text| !known.contains(&text))
    };
    if let Some(edited) = edited {
        return kept_edit::keep(host, nix, record, &edited);
    }
    failpoint("back-intent");
    let planned = intent_file::hash(name, &old);
    gc_roots::keep(host, name, &old.toplevel)?;
    if let (Some(profile), Some(generation)) = (&old.profile, old.generation) {
        let profile = Path::new(profile.as_str());
        align_profile(host, nix, &old);
        // A failed generation is deleted, or a failing nightly timer would accumulate them.
        let numbers = generations(host, name, &old)?.into_iter().map(|made| made.number);
        let made: Vec<String> = numbers
            .filter(|number| *number > details.newest_generation && *number != generation)
            .map(|number| number.to_string())
            .collect();
        if !made.is_empty() {
            let program = host.program(nix.tool("nix-env")).arg("--profile").arg(profile);
            if let Err(error) = program.arg("--delete-generations").args(made).output() {
                host.report(Event::GenerationStays {
                    profile: profile.to_owned(),
                    error: format!("{error:#}"),
                });
            }
        }
    }
    remove_pending(host, &details.profile_directory);
    systemd::reload_to(host, name, planned.as_deref())?;
    networkd::apply(host, name);
    let exchanged = snapshot::exchanged(host, name)?;
    if exchanged {
        // A connection would start the container with the other state.
        sockets::close(host, name)?;
    } else {
        sockets::align(host, name, new.as_ref(), &old)?;
    }
    failpoint("back-reload");
    let restart = match way {
        // It may have been started with the other state meanwhile.
        Way::Recorded | Way::Reload { .. } if exchanged => !systemd::state(host, name)?.stopped(),
        Way::Recorded => false,
        Way::Restart => true,
        Way::Reload { before, limit } => {
            match reload_back(host, name, &old, planned.as_deref(), before, limit) {
                Ok(()) => false,
                Err(error) => {
                    host.report(Event::RestartingBack { name: name.clone(), error: format!("{error:#}") });
                    true
                }
            }
        }
    };
    if restart {
        let again = details.phase == Phase::Returning;
        systemd::stop_once(host, name)?;
        record.details.phase = Phase::Returning;
        record.save(host)?;
        failpoint("back-stopped");
        state_back(host, name, &old)?;
        let limit = StartLimit::systemd(limit_or_start(None, &old));
        match effect::start(host, name, planned.as_deref(), limit) {
            // It would block an update that repairs the container.
            Err(error) if again => {
                interrupt::check()?;
                host.report(Event::OldGenerationDown { error: format!("{error:#}") });
                return record.finish(host);
            }
            started => started?,
        }
    } else {
        state_back(host, name, &old)?;
    }
    if matches!(record.details.phase, Phase::Activating | Phase::Passed | Phase::Returning) {
        dependents::start_again(host, &record.details.dependents);
    }
    profile_links::sync(host, &record.details.profile_directory)?;
    record.finish(host)
}

/// Puts the state back, if it was exchanged, and settles an unfinished snapshot. The container is stopped if it was.
fn state_back(host: &Host, name: &MachineName, old: &Intent) -> Result<()> {
    let exchanged = snapshot::exchanged(host, name)?;
    snapshot::undo(host, name)?;
    if exchanged {
        // They were closed before.
        sockets::align(host, name, None, old)?;
    }
    Ok(())
}

/// Makes the container switch back to the old system. It must then reach the state that it had before.
fn reload_back(
    host: &Host,
    name: &MachineName,
    old: &Intent,
    plan: Option<&str>,
    before: &Before,
    limit: Option<Duration>,
) -> Result<()> {
    if systemd::state(host, name)?.active != "active" {
        return Err(anyhow!("it does not run"));
    }
    host.report(Event::ReloadingBack { name: name.clone() });
    let limit = limit_or_start(limit, old);
    if let Reloaded::NeedsRestart(why) = effect::reload(host, name, old, limit)? {
        return Err(anyhow!(why));
    }
    failpoint("back-reloaded");
    let gate =
        Gate { expect: Expect::Degraded, check: None, limit, settling: SETTLING, before: before.clone() };
    gate::pass(host, name, plan, &gate)?;
    gc_roots::keep_running(host, name, &old.toplevel)
}

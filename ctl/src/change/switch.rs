//! The way from one generation to another, for updates and rollbacks: profile, intent, units, container, gate, in this
//! order, and back in one go if anything fails. A killed switch is settled by the next command: [`settle`]. The table of
//! states is in docs/decisions/interrupted.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nixos_nspawn_units::copies::{copy_path, generated, put};
use nixos_nspawn_units::intent::{Intent, Strategy, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::under;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::effect::{Reloaded, StartLimit};
use crate::change::gate::{Before, Expect, Gate};
use crate::change::next::limit_or_start;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::{effect, gate};
use crate::decision::activation::{Action, Decision};
use crate::fact::dependents;
use crate::fact::generations::generations;
use crate::host::journal::{journal_time, show_journal, show_journal_inside};
use crate::host::last_activation::{ActivationResult, LastActivation};
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record};
use crate::host::{gc_roots, intent_file, networkd, sockets, systemd};
use crate::nix::tool::Nix;

/// What the profile shall stand at.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A new generation of this profile.
    New(StorePath),
    /// A generation that is there.
    Present(u64),
}

/// What a switch came to.
pub(crate) struct Switched {
    /// The generation that is current.
    pub(crate) generation: Option<u64>,
    /// What was done to the container in the end.
    pub(crate) action: Action,
    /// Why.
    pub(crate) reason: String,
}

/// How a new generation shall take effect, and what it must show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activation<'a> {
    /// The strategy; the container's own if nothing is said.
    pub(crate) strategy: Option<Strategy>,
    /// The state that the container must reach.
    pub(crate) expect: Expect,
    /// A command that must succeed inside.
    pub(crate) check: Option<&'a str>,
    /// How long it may take; as long as the container's start if nothing is said.
    pub(crate) limit: Option<Duration>,
    /// Leave what failed, for study.
    pub(crate) keep: bool,
}

/// One switch.
pub(crate) struct Switch<'a> {
    pub(crate) host: &'a Host,
    pub(crate) nix: &'a Nix<'a>,
    pub(crate) name: &'a MachineName,
    /// What shall be recorded; its generation is filled in.
    pub(crate) new: Intent,
    pub(crate) target: Target,
    pub(crate) decision: Decision,
    pub(crate) activation: Activation<'a>,
    /// The units inside before it began.
    pub(crate) before: Before,
}

impl Switch<'_> {
    /// Switches; on failure everything is as it was, unless it shall be kept. The generation that is current then.
    pub(crate) fn run(mut self, record: &mut Record) -> Result<Switched> {
        let begun = journal_time();
        let done = self.forward(record);
        let folder = record.details.profile_directory.clone();
        let note = |action: Action, result: ActivationResult, detail: String, generation: Option<u64>| {
            let last = LastActivation::now(generation.unwrap_or(0), action.into(), result, detail);
            if let Err(error) = last.write(self.host, &folder) {
                self.host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
            }
        };
        match done {
            Ok(action) => {
                note(action, ActivationResult::Done, self.decision.reason.clone(), self.new.generation);
                record.finish(self.host)?;
                if action == Action::Restart {
                    dependents::start_again(self.host, &record.details.dependents);
                }
                Ok(Switched { generation: self.new.generation, action, reason: self.decision.reason })
            }
            Err(error) => {
                interrupt::clean_up_begins();
                let touched = matches!(record.details.phase, Phase::Activating | Phase::Passed);
                match self.decision.action {
                    Action::Reload if touched => show_journal_inside(self.host, self.name, &begun),
                    _ if touched => show_journal(self.host, self.name, &begun),
                    _ => {}
                }
                note(
                    self.decision.action,
                    ActivationResult::Failed,
                    format!("{error:#}"),
                    self.new.generation,
                );
                if self.activation.keep && touched {
                    remove_pending(self.host, &folder);
                    record.finish(self.host)?;
                    // What requires it would only have it started again, were it down.
                    if systemd::state(self.host, self.name).is_ok_and(|state| state.active == "active") {
                        dependents::start_again(self.host, &record.details.dependents);
                    }
                    interrupt::clean_up_ends();
                    return Err(anyhow!("{error:#}").context(format!(
                        "container '{}' was updated and left as it is (--keep)",
                        self.name
                    )));
                }
                let way = match (touched, &record.details.reload) {
                    (false, _) => Way::Recorded,
                    (true, None) => Way::Restart,
                    (true, Some(_)) => Way::Reload(&self.before),
                };
                let back = take_back(self.host, self.nix, record, way);
                interrupt::clean_up_ends();
                let name = self.name;
                // What the new generation does is its failure, 1, whichever program told us.
                let error = if touched { anyhow!("{error:#}") } else { error };
                Err(match back {
                    Ok(()) if touched => error.context(format!("container '{name}' was rolled back")),
                    Ok(()) => {
                        under(error, &format!("container '{name}' was not updated"), "nothing was changed")
                    }
                    Err(left) => error.context(format!(
                        "container '{name}' was not updated, and could not be rolled back ({left:#}); the next command tries again"
                    )),
                })
            }
        }
    }

    fn forward(&mut self, record: &mut Record) -> Result<Action> {
        let (host, name) = (self.host, self.name);
        interrupt::check()?;
        record.details.phase = Phase::Recording;
        record.details.new_intent = self.new.to_json()?;
        record.save(host)?;
        failpoint("recording");
        let profile = PathBuf::from(self.new.profile.as_ref().map_or("", |profile| profile.as_str()));
        match &self.target {
            Target::New(path) => {
                self.new.generation = Some(self.nix.set_profile(&profile, path)?);
            }
            Target::Present(number) => {
                self.nix.switch_generation(&profile, *number)?;
                self.new.generation = Some(*number);
            }
        }
        failpoint("profile");
        let planned = {
            let _global = Lock::global(host)?;
            let loaded = crate::host::host_file::load(host)?;
            let (_, planned) = intent_file::check(&loaded, name, &self.new)?;
            crate::host::host_file::record(host, &loaded.host)?;
            intent_file::write(host, name, &self.new)?;
            planned
        };
        failpoint("intent");
        gc_roots::keep(host, name, &self.new.toplevel)?;
        let plan = planned.hash.as_deref();
        systemd::reload_to(host, name, plan)?;
        networkd::apply(host, name);
        let old = parse(record.details.old_intent.as_bytes(), name).ok();
        sockets::align(host, name, old.as_ref(), &self.new)?;
        failpoint("reload");
        if self.decision.action == Action::Nothing {
            // What nspawn has is what is planned; only the mark of the plan changes.
            if copy_path(&host.root, name).exists() {
                let text = fs::read(generated(&host.root, &format!("{name}.nspawn")))?;
                put(&host.root, name, &text)
                    .with_context(|| copy_path(&host.root, name).display().to_string())?;
            }
            return Ok(Action::Nothing);
        }
        if self.decision.action == Action::AtNextStart {
            return Ok(Action::AtNextStart);
        }
        let limit = limit_or_start(self.activation.limit, &self.new);
        let expect = self.activation.expect;
        let gate = Gate { expect, check: self.activation.check, limit, before: Before::see(host, name) };
        self.before = gate.before.clone();
        record.details.dependents = dependents::running(host, name)?;
        record.details.reload = (self.decision.action == Action::Reload).then(|| host.boot_id());
        record.details.phase = Phase::Activating;
        record.save(host)?;
        failpoint("activating");
        let mut action = self.decision.action;
        if action == Action::Reload {
            match effect::reload(host, name, &self.new, limit)? {
                Reloaded::Yes => {}
                Reloaded::UnitsFailed if expect == Expect::None => {}
                Reloaded::UnitsFailed => host.report(Event::UnitsFailed),
                Reloaded::NeedsRestart(why) => {
                    self.decision.reason = why;
                    action = Action::Restart;
                }
            }
        }
        if record.details.reload.is_some() && action == Action::Restart {
            record.details.reload = None;
            record.save(host)?;
        }
        match action {
            Action::Restart => effect::restart(host, name, plan, StartLimit::after(limit))?,
            _ => gc_roots::keep_running(host, name, &self.new.toplevel)?,
        }
        failpoint("activated");
        gate::pass(host, name, plan, &gate)?;
        record.details.phase = Phase::Passed;
        record.save(host)?;
        failpoint("passed");
        Ok(action)
    }
}

/// How the container itself comes back to the old generation.
pub(crate) enum Way<'a> {
    /// It was not touched.
    Recorded,
    /// By a reload, as it came to the new one; by a restart if the old one does not show then what it showed before.
    Reload(&'a Before),
    /// By a restart.
    Restart,
}

/// Back to the intent of the record: profile, intent, units, and the container itself.
pub(crate) fn take_back(host: &Host, nix: &Nix, record: &mut Record, way: Way) -> Result<()> {
    let name = &record.name.clone();
    let details = &record.details;
    let old =
        parse(details.old_intent.as_bytes(), name).map_err(|fault| anyhow!("the old intent: {fault}"))?;
    // From the record: the file may hold the old one again, if taking back was killed before.
    let new = parse(details.new_intent.as_bytes(), name).ok();
    {
        let _global = Lock::global(host)?;
        intent_file::write_text(host, name, &details.old_intent)?;
    }
    failpoint("back-intent");
    let planned = intent_file::hash(name, &old);
    gc_roots::keep(host, name, &old.toplevel)?;
    if let (Some(profile), Some(generation)) = (&old.profile, old.generation) {
        let profile = Path::new(profile.as_str());
        align_profile(host, nix, &old);
        // What failed is not kept: a timer that fails each night would pile it up.
        let numbers = generations(host, name, &old).into_iter().map(|made| made.number);
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
    sockets::align(host, name, new.as_ref(), &old)?;
    failpoint("back-reload");
    let restart = match way {
        Way::Recorded => false,
        Way::Restart => true,
        Way::Reload(before) => match reload_back(host, name, &old, planned.as_deref(), before) {
            Ok(()) => false,
            Err(error) => {
                host.report(Event::RestartingBack { name: name.clone(), error: format!("{error:#}") });
                true
            }
        },
    };
    if restart {
        let again = details.phase == Phase::Returning;
        effect::stop(host, name)?;
        record.details.phase = Phase::Returning;
        record.save(host)?;
        failpoint("back-stopped");
        let limit = StartLimit::systemd(limit_or_start(None, &old));
        match effect::start(host, name, planned.as_deref(), limit) {
            // It would be in the way of an update that mends it.
            Err(error) if again => {
                interrupt::check()?;
                host.report(Event::OldGenerationDown { error: format!("{error:#}") });
                return record.finish(host);
            }
            started => started?,
        }
    }
    if matches!(record.details.phase, Phase::Activating | Phase::Passed | Phase::Returning) {
        dependents::start_again(host, &record.details.dependents);
    }
    record.finish(host)
}

/// Has the container switch back to the old system, as it switched to the new one. It must show then what it showed before.
fn reload_back(
    host: &Host,
    name: &MachineName,
    old: &Intent,
    plan: Option<&str>,
    before: &Before,
) -> Result<()> {
    if systemd::state(host, name)?.active != "active" {
        return Err(anyhow!("it does not run"));
    }
    host.report(Event::ReloadingBack { name: name.clone() });
    let limit = limit_or_start(None, old);
    if let Reloaded::NeedsRestart(why) = effect::reload(host, name, old, limit)? {
        return Err(anyhow!(why));
    }
    failpoint("back-reloaded");
    let gate = Gate { expect: Expect::Degraded, check: None, limit, before: before.clone() };
    gate::pass(host, name, plan, &gate)?;
    gc_roots::keep_running(host, name, &old.toplevel)
}

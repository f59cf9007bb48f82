//! Switches between generations, for updates and rollbacks: profile, intent, units, container and gate, in this
//! order, and all the way back if anything fails. A killed switch is settled by the next command (see settle.rs). The
//! table of states is in docs/decisions/interrupted.md.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use nixos_nspawn_units::copies::{copy_path, generated, put};
use nixos_nspawn_units::intent::{Expect, Intent, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::{Event, Step};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::effect::{Reloaded, StartLimit};
use crate::change::gate::Before;
use crate::change::profile_steps::remove_pending;
use crate::change::reach::Approved;
use crate::change::switch_options::{Activation, StateChange, Switched, Target};
use crate::change::{effect, gate, snapshot};
use crate::decision::activation::{Action, Decision};
use crate::fact::{dependents, running_settings};
use crate::host::intent_file::Conflicts;
use crate::host::journal::journal_time;
use crate::host::last_activation::{ActivationResult, LastActivation};
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record};
use crate::host::store_sync::sync_store;
use crate::host::update_memory::UpdateMemory;
use crate::host::{
    gc_roots, intent_file, known_settings, networkd, profile_links, runtime_files, sockets, systemd,
};
use crate::nix::tool::Nix;

/// A switch.
pub(crate) struct Switch<'a> {
    pub(crate) host: &'a Host,
    pub(crate) nix: &'a Nix<'a>,
    pub(crate) name: &'a MachineName,
    /// The intent to record; its generation is filled in.
    pub(crate) new: Intent,
    pub(crate) target: Target,
    /// The profile whose result is remembered, in an update.
    pub(crate) remembered: Option<StorePath>,
    pub(crate) decision: Decision,
    pub(crate) activation: Activation<'a>,
    /// What happens to the state.
    pub(crate) state: StateChange,
    /// Whether the new intent is that of an earlier generation.
    pub(crate) approved: Approved,
    /// The units inside before it began.
    pub(crate) before: Before,
    /// The snapshot that was made of the state.
    pub(crate) snapshot: Option<PathBuf>,
    /// Whether the change only takes reach away. Then failures inside do not undo it: otherwise a container could keep
    /// its reach by failing.
    pub(crate) only_takes_away: bool,
}

impl Switch<'_> {
    /// Switches; on failure everything is reverted, unless a failed generation is to be kept. Returns the generation
    /// that is current then.
    pub(crate) fn run(mut self, record: &mut Record) -> Result<Switched> {
        let begun = journal_time();
        let done = self.forward(record);
        self.host.report(Event::Progress { name: self.name.clone(), step: None });
        let folder = record.details.profile_directory.clone();
        match done {
            Ok(action) => {
                self.note(&folder, action, ActivationResult::Done, self.decision.reason.clone());
                self.remember(&folder, |memory, output| match action {
                    Action::Reload | Action::Restart => memory.works(output),
                    // It has not been tried.
                    Action::Nothing | Action::AtNextStart => memory.up_to_date(Some(output)),
                });
                // The earlier state is a snapshot from now on.
                snapshot::keep_at_last(self.host, self.name);
                // The record is deleted after all other steps, because a killed command can be settled only as
                // long as it exists.
                remove_pending(self.host, &folder);
                profile_links::sync(self.host, &folder)?;
                if action == Action::Restart {
                    dependents::start_again(self.host, &record.details.dependents);
                }
                record.finish(self.host)?;
                let (generation, reason) = (self.new.generation, self.decision.reason);
                Ok(Switched { generation, action, reason, snapshot: self.snapshot })
            }
            Err(error) => self.failed(record, error, &begun),
        }
    }

    /// Records how the activation ended.
    pub(super) fn note(&self, folder: &Path, action: Action, result: ActivationResult, detail: String) {
        let last = LastActivation::now(self.new.generation.unwrap_or(0), action.into(), result, detail);
        if let Err(error) = last.write(self.host, folder) {
            self.host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
        }
    }

    /// Changes what updates remember.
    pub(super) fn remember(&self, folder: &Path, change: impl FnOnce(&mut UpdateMemory, &StorePath)) {
        let Some(output) = &self.remembered else { return };
        if let Err(error) =
            UpdateMemory::change(self.host, self.name, folder, |memory| change(memory, output))
        {
            self.host.report(Event::ResultNotRecorded { error: format!("{error:#}") });
        }
    }

    fn forward(&mut self, record: &mut Record) -> Result<Action> {
        let (host, name) = (self.host, self.name);
        interrupt::check()?;
        record.details.phase = Phase::Recording;
        record.details.new_intent = self.new.to_json()?;
        record.save(host)?;
        failpoint("recording");
        if let StateChange::Restore(snapshot) = self.state.clone() {
            // Before the generation: the old one on a copy of the other state harms neither.
            self.touch(record)?;
            if self.decision.action == Action::Restart {
                // A connection would start it again.
                sockets::close(host, name)?;
                systemd::stop(host, name)?;
            }
            let old =
                parse(record.details.old_intent.as_bytes(), name).map_err(|fault| anyhow!("{fault}"))?;
            self.snapshot = Some(snapshot::restore(host, name, &old, &snapshot)?);
        }
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
        sync_store(host)?;
        let planned = {
            let _global = Lock::global(host)?;
            let loaded = crate::host::host_file::load(host)?;
            let old = parse(record.details.old_intent.as_bytes(), name).ok();
            let conflicts = match &old {
                _ if self.approved == Approved::Before => Conflicts::Told,
                Some(old) => Conflicts::NewRefused(old),
                None => Conflicts::Refused,
            };
            let (_, planned) = intent_file::check(&loaded, name, &self.new, conflicts)?;
            crate::host::host_file::record(host, &loaded.host)?;
            record.details.new_intent = self.new.to_json()?;
            record.save(host)?;
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
            // nspawn's settings are the planned ones; only the mark of the plan changes.
            if copy_path(&host.root, name).exists() {
                let text = fs::read(generated(&host.root, &format!("{name}.nspawn")))?;
                put(&host.root, name, &text)
                    .with_context(|| copy_path(&host.root, name).display().to_string())?;
            }
            return Ok(Action::Nothing);
        }
        if self.decision.action == Action::AtNextStart {
            if systemd::state(host, name)?.stopped() {
                let kept = self.keep_state(record);
                // Whoever started it meanwhile has the new generation.
                if let Err(error) = kept {
                    if systemd::state(host, name)?.stopped() {
                        return Err(error);
                    }
                    let text = format!("no snapshot of its state was made: {error:#}");
                    host.report(Event::Note { name: name.clone(), text });
                }
            }
            return Ok(Action::AtNextStart);
        }
        let expectation = self.activation.expectation;
        let limit = expectation.limit_for(&self.new);
        let expect = expectation.gate(&self.new, Before::default()).expect;
        if record.details.phase != Phase::Activating {
            self.touch(record)?;
        }
        let before = self.before.clone();
        let mut action = self.decision.action;
        let progress = |step| host.report(Event::Progress { name: name.clone(), step: Some(step) });
        if action == Action::Reload {
            progress(Step::Reloading);
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
            Action::Restart => {
                progress(Step::Restarting);
                if self.state == StateChange::Snapshot {
                    // A connection would start it again.
                    sockets::close(host, name)?;
                    systemd::stop(host, name)?;
                    self.keep_state(record)?;
                } else {
                    systemd::stop_once(host, name)?;
                }
                effect::start(host, name, plan, StartLimit::after(limit))?;
            }
            _ => {
                gc_roots::keep_running(host, name, &self.new.toplevel)?;
                if let Some(old) = &old {
                    self.keeps_settings(old);
                }
            }
        }
        failpoint("activated");
        gate::pass(host, name, plan, &expectation.gate(&self.new, before))?;
        record.details.phase = Phase::Passed;
        record.save(host)?;
        failpoint("passed");
        Ok(action)
    }

    /// Remembers that a reload has left the settings as they were, as far as those are known.
    fn keeps_settings(&self, old: &Intent) {
        let (host, name) = (self.host, self.name);
        let Some(used) = runtime_files::mark(host, name) else { return };
        let path = intent_file::shown_path(name);
        if let Some(effect) = running_settings::in_effect(host, name, Kind::Imperative, &path, old, &used) {
            let now = Intent { toplevel: self.new.toplevel.clone(), ..effect };
            known_settings::remember(host, name, &used, &now);
        }
    }

    /// Records that the container is about to be touched, and how it was before.
    fn touch(&mut self, record: &mut Record) -> Result<()> {
        let (host, name) = (self.host, self.name);
        self.before = Before::see(host, name, self.activation.expectation.limit_for(&self.new));
        record.details.dependents = dependents::running(host, name)?;
        record.details.reload = (self.decision.action == Action::Reload).then(|| host.boot_id());
        record.details.only_takes_away = self.only_takes_away;
        record.details.phase = Phase::Activating;
        record.save(host)?;
        failpoint("activating");
        Ok(())
    }

    /// Makes a snapshot of the state of the stopped container, if that is asked for.
    fn keep_state(&mut self, record: &Record) -> Result<()> {
        if self.state == StateChange::Snapshot {
            let old =
                parse(record.details.old_intent.as_bytes(), self.name).map_err(|fault| anyhow!("{fault}"))?;
            let taken = snapshot::take(self.host, self.name, &old);
            // They were closed meanwhile.
            sockets::align(self.host, self.name, None, &self.new)?;
            self.snapshot = Some(taken?);
        }
        Ok(())
    }
}

//! Applies the recorded configuration to a running container, as its strategy says. The host's NixOS switch calls it
//! for declarative containers; administrators use it for hand-written intents.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::change::Change;
use nixos_nspawn_units::copies::{copy_path, generated, put};
use nixos_nspawn_units::intent::{Intent, Strategy};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_some;
use nixos_nspawn_units::store::{Kind, Stored};

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::effect::{Reloaded, StartLimit};
use crate::change::next::{limit_or_start, strategy};
use crate::change::{effect, settle};
use crate::decision::activation::{Action, Decision, decide, decide_for};
use crate::fact::lookup::{Found, all_seen, find, no_such};
use crate::fact::{dependents, running_settings};
use crate::host::gc_roots::running_toplevel;
use crate::host::last_activation::{ActivationResult, LastActivation};
use crate::host::manager_inside::{LONG_PATIENCE, failed_units, listed};
use crate::host::profile_links::profile_link;
use crate::host::systemd::UnitState;
use crate::host::update_memory::is_named_like;
use crate::host::{gc_roots, host_file, known_settings, networkd, runtime_files, sockets, systemd};

/// The polling interval while a container is starting.
const PAUSE: Duration = Duration::from_millis(500);

/// What was or would be done.
#[derive(Debug)]
pub(crate) struct Activated {
    /// The action and its reason.
    pub(crate) decision: Decision,
    /// Whether the container runs.
    pub(crate) running: bool,
}

/// Applies the recorded intent, or finds out what that would do.
pub(crate) fn activate(
    host: &Host,
    name: &MachineName,
    given: Option<Strategy>,
    dry_run: bool,
) -> Result<Activated> {
    let _lock = if dry_run { None } else { Some(settle::lock(host, name)?) };
    let loaded = host_file::load(host)?;
    if !dry_run && all_seen(&loaded).is_ok() {
        known_settings::sweep(host, |name| find(&loaded, name).is_some());
    }
    let stored = match find(&loaded, name) {
        Some(Found::Good(stored)) => stored,
        Some(Found::Broken(error)) => {
            return unchanged(format!("{error}"), "correct it first");
        }
        None => {
            all_seen(&loaded)?;
            return Err(no_such(name));
        }
    };
    let plan = plan_some(&loaded, &|one| one == name);
    let planned = plan.containers.iter().find(|planned| planned.name == *name);
    let Some(hash) = planned.and_then(|planned| planned.hash.clone()) else {
        return unchanged(
            format!("{}: is refused", stored.path),
            format!("'nixos-nspawn show {name}' shows why"),
        );
    };
    let activation = Activation { host, stored, hash };
    let state = started(host, stored)?;
    let (decision, old) = activation.decision(given, !state.stopped())?;
    if dry_run {
        return Ok(Activated { decision, running: !state.stopped() });
    }
    if stored.kind == Kind::Imperative {
        // An intent that was edited may name another system than the one that is rooted.
        gc_roots::keep(host, name, &stored.intent.toplevel)?;
    }
    // An edit may leave the plan as it is, and systemd still sees a changed file.
    if state.need_reload || state.plan.as_ref() != Some(&activation.hash) {
        systemd::reload_to(host, name, Some(&activation.hash))?;
    }
    networkd::apply(host, name);
    sockets::align(host, name, old.as_ref(), &stored.intent)?;
    if state.stopped() {
        // The next start uses these settings.
        activation.remember(&activation.hash, &stored.intent);
        return Ok(Activated { decision, running: false });
    }
    let action = decision.action;
    let result = activation.act(decision, old);
    activation.note(action, &result);
    Ok(Activated { decision: result?, running: true })
}

/// Returns the state of its unit, once it is no longer starting: before that, it is unknown what it runs.
fn started(host: &Host, stored: &Stored) -> Result<UnitState> {
    let end = Instant::now() + limit_or_start(None, &stored.intent);
    loop {
        let state = systemd::state(host, &stored.name)?;
        if state.active != "activating" || Instant::now() >= end {
            return Ok(state);
        }
        sleep(PAUSE);
        interrupt::check()?;
    }
}

/// One container and its recorded intent.
struct Activation<'a> {
    host: &'a Host,
    stored: &'a Stored,
    hash: String,
}

impl Activation<'_> {
    fn name(&self) -> &MachineName {
        &self.stored.name
    }

    /// Returns what to do, and the intent in effect as far as it is known.
    fn decision(&self, given: Option<Strategy>, runs: bool) -> Result<(Decision, Option<Intent>)> {
        let new = &self.stored.intent;
        let strategy = strategy(given, new);
        if !runs {
            let change = Change::Settings(String::new());
            return Ok((decide_for(change, strategy, runs), None));
        }
        match self.running() {
            Some(old) => Ok((decide(self.name(), &old, new, strategy, runs)?, Some(old))),
            None => {
                let change = Change::Settings("it runs with settings other than those recorded".to_owned());
                Ok((decide_for(change, strategy, runs), None))
            }
        }
    }

    /// Returns the mark of the settings that the container was started with.
    fn used(&self) -> Option<String> {
        runtime_files::mark(self.host, self.name())
    }

    /// Returns the intent in effect in the running container.
    fn running(&self) -> Option<Intent> {
        let used = self.used()?;
        let Stored { name, kind, path, intent } = self.stored;
        let effect = running_settings::in_effect(self.host, name, *kind, path, intent, &used)?;
        Some(match running_toplevel(self.host, name) {
            Some(toplevel) => Intent { toplevel, ..effect },
            None => effect,
        })
    }

    /// Applies a decision, and returns what was done and why.
    fn act(&self, decision: Decision, old: Option<Intent>) -> Result<Decision> {
        let (host, name, new) = (self.host, self.name(), &self.stored.intent);
        let Decision { mut action, mut reason } = decision;
        let mut failed_inside = false;
        let patience = LONG_PATIENCE.min(limit_or_start(None, new));
        let before = match action {
            Action::Reload | Action::Restart => failed_units(host, name, patience).ok(),
            Action::AtNextStart | Action::Nothing => None,
        };
        if action == Action::Reload {
            match effect::reload(host, name, new, limit_or_start(None, new))? {
                Reloaded::Yes => {}
                Reloaded::UnitsFailed => failed_inside = true,
                Reloaded::NeedsRestart(why) => {
                    action = Action::Restart;
                    reason = why;
                }
            }
        }
        match action {
            Action::AtNextStart => {}
            Action::Nothing => {
                // nspawn's settings are the planned ones; only the mark of the plan changes. If the intents are equal
                // and the marks differ, the generator has changed: then a restart is due, which `status` shows.
                if old.as_ref() != Some(new) {
                    let text = fs::read(generated(&host.root, &format!("{name}.nspawn")))?;
                    put(&host.root, name, &text)
                        .with_context(|| copy_path(&host.root, name).display().to_string())?;
                    self.remember(&self.hash, new);
                } else if let Some(used) = self.used() {
                    // systemd started it. After an upgrade the plan's hash would no longer identify what it runs.
                    if known_settings::read(self.host, self.name()).is_none_or(|known| known.plan != used) {
                        self.remember(&used, new);
                    }
                }
            }
            Action::Reload => {
                gc_roots::keep_running(host, name, &new.toplevel)?;
                // It runs the new system under the old settings.
                if let (Some(used), Some(old)) = (self.used(), old) {
                    self.remember(&used, &Intent { toplevel: new.toplevel.clone(), ..old });
                }
            }
            Action::Restart => {
                let dependents = dependents::running(host, name)?;
                let limit = StartLimit::after(limit_or_start(None, new));
                effect::restart(host, name, Some(&self.hash), limit)?;
                self.remember(&self.hash, new);
                dependents::start_again(host, &dependents);
            }
        }
        if failed_inside || action == Action::Restart {
            // A payload without a service manager answers neither before nor after.
            let now = match failed_units(host, name, patience) {
                Err(error) if before.is_some() => {
                    return Err(
                        error.context(format!("container '{name}': its failed units cannot be listed"))
                    );
                }
                now => now.unwrap_or_default(),
            };
            let before = before.unwrap_or_default();
            let units: Vec<&String> = now.difference(&before).collect();
            if failed_inside || !units.is_empty() {
                let done = if action == Action::Restart { "restarted" } else { "reloaded" };
                let units = if units.is_empty() { "units".to_owned() } else { listed(units) };
                return Err(Failed::Program(format!(
                    "container '{name}' was {done}, but {units} failed inside"
                ))
                .into());
            }
        }
        Ok(Decision { action, reason })
    }

    /// Records the result for `status`. If the container was left as it is, its record stays.
    fn note(&self, action: Action, result: &Result<Decision>) {
        let (action, result, detail) = match result {
            Ok(done) => (done.action, ActivationResult::Done, done.reason.clone()),
            Err(error) => (action, ActivationResult::Failed, format!("{error:#}")),
        };
        if !matches!(action, Action::Reload | Action::Restart) {
            return;
        }
        let Stored { name, intent, kind, .. } = self.stored;
        let generation = intent.generation.unwrap_or(0);
        let note = LastActivation::now(generation, action.into(), result, detail);
        let folder = profile_link(self.host, name, intent).parent().map(Path::to_owned);
        let own = |folder: &std::path::PathBuf| {
            *kind == Kind::Imperative && is_named_like(folder, name) && self.host.path(folder).is_dir()
        };
        let folder = folder.filter(own);
        let written = match folder {
            Some(folder) => note.write(self.host, &folder),
            None => note.write_for_now(self.host, name),
        };
        if let Err(error) = written {
            let error = format!("{error:#}");
            self.host.report(Event::ResultNotRecorded { error });
        }
    }

    fn remember(&self, plan: &str, intent: &Intent) {
        known_settings::remember(self.host, self.name(), plan, intent);
    }
}

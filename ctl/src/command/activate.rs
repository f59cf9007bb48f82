//! `activate`: has a running container take on what is recorded, as its strategy says. The host's NixOS configuration calls
//! it for its own containers when it is switched, administrators for intents written by hand. What the container was
//! last known to run is kept in /run, since only with it can be told what differs; nothing else depends on that file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::change::Change;
use nixos_nspawn_units::copies::{copy_path, generated, put};
use nixos_nspawn_units::intent::{Intent, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan;
use nixos_nspawn_units::store::{Loaded, Stored};
use nixos_nspawn_units::value::StorePath;
use nixos_nspawn_units::write::write_at_once;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use crate::base::context::Context;
use crate::base::exit::{Failed, refuse};
use crate::base::interrupt;
use crate::base::output::tell;
use crate::change::effect;
use crate::change::effect::Reloaded;
use crate::change::next::{limit_or_start, strategy};
use crate::change::settle::{lock_settled, repair};
use crate::cli::Activate;
use crate::decision::activation::{Action, Decision, decide, decide_for};
use crate::fact::lookup::{Found, find, machine_name, no_such};
use crate::fact::{dependents, running_settings};
use crate::host::gc_roots::running_toplevel;
use crate::host::systemd::UnitState;
use crate::host::{gc_roots, host_file, last_activation, networkd, runtime_files, sockets, systemd};

/// Where it is remembered what containers run, and how these files end.
const DIRECTORY: &str = "/run/nixos-nspawn";
const ENDING: &str = ".known";

/// Between two looks at a container that is starting.
const PAUSE: Duration = Duration::from_millis(500);

/// What a container was last known to run.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// The mark of the settings it was started with.
    plan: String,
    /// The text of its intent.
    intent: String,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Activate) -> Result<()> {
    context.need_systemd()?;
    let name = machine_name(&arguments.name)?;
    if !arguments.dry_run {
        context.need_root("activate")?;
        repair(context);
    }
    let _lock = if arguments.dry_run { None } else { Some(lock_settled(context, &name)?) };
    let loaded = host_file::load(context)?;
    if !arguments.dry_run {
        sweep(context, &loaded);
    }
    let stored = match find(&loaded, &name) {
        Some(Found::Good(stored)) => stored,
        Some(Found::Broken(error)) => {
            return refuse(format!("{error}, nothing was changed; correct it first"));
        }
        None => return Err(no_such(&name)),
    };
    let plan = plan(&loaded);
    let hash =
        plan.containers.iter().find(|planned| planned.name == name).and_then(|planned| planned.hash.clone());
    let Some(hash) = hash else {
        return refuse(format!(
            "{}: is refused, nothing was changed; 'nixos-nspawn show {name}' tells why",
            stored.path
        ));
    };
    let taking = TakingOn { context, stored, hash };
    let state = started(context, stored)?;
    let (decision, old) = taking.decision(arguments, !state.stopped())?;
    let say = |action: Action, reason: &str, text: String| {
        let Activate { dry_run, .. } = *arguments;
        let activated = Activated { name: &name, dry_run, action: action.into(), reason };
        context.answer(&activated, |_| format!("container '{name}'{text}\n"))
    };
    if arguments.dry_run {
        let text = format!(": would {} ({})", infinitive(decision.action), decision.reason);
        return say(decision.action, &decision.reason, text);
    }
    if state.plan.as_ref() != Some(&taking.hash) {
        systemd::reload_to(context, &name, Some(&taking.hash))?;
    }
    networkd::apply(context, &name);
    sockets::align(context, &name, old.as_ref(), &stored.intent)?;
    if state.stopped() {
        // With these settings it will start.
        taking.remember(&taking.hash, &stored.intent);
        let text = " does not run, its next start takes on what is recorded".to_owned();
        return say(decision.action, &decision.reason, text);
    }
    let Decision { action, reason } = taking.act(decision, old)?;
    say(action, &reason, format!(" {} ({reason})", past(action)))
}

/// What was or would be done, as scripts see it.
#[derive(Debug, Serialize)]
struct Activated<'a> {
    name: &'a MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    action: last_activation::Action,
    reason: &'a str,
}

/// What is remembered of containers that are recorded no more goes, at the latest with the next activation of another.
fn sweep(context: &Context, loaded: &Loaded) {
    let Ok(entries) = fs::read_dir(context.path(DIRECTORY)) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(ENDING)?.parse::<MachineName>().ok());
        if name.is_some_and(|name| find(loaded, &name).is_none()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The state of its unit, once that is not just starting: only then it is known what it runs.
fn started(context: &Context, stored: &Stored) -> Result<UnitState> {
    let end = Instant::now() + limit_or_start(None, &stored.intent);
    loop {
        let state = systemd::state(context, &stored.name)?;
        if state.active != "activating" || Instant::now() >= end {
            return Ok(state);
        }
        sleep(PAUSE);
        interrupt::check()?;
    }
}

fn infinitive(action: Action) -> &'static str {
    match action {
        Action::AtNextStart | Action::Nothing => "do nothing",
        Action::Reload => "reload",
        Action::Restart => "restart",
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::AtNextStart | Action::Nothing => "is left as it is",
        Action::Reload => "was reloaded",
        Action::Restart => "was restarted",
    }
}

/// One container and its recorded intent.
struct TakingOn<'a> {
    context: &'a Context,
    stored: &'a Stored,
    hash: String,
}

impl TakingOn<'_> {
    fn name(&self) -> &MachineName {
        &self.stored.name
    }

    /// What to do, and what the container runs as far as that is known.
    fn decision(&self, arguments: &Activate, runs: bool) -> Result<(Decision, Option<Intent>)> {
        let new = &self.stored.intent;
        let strategy = strategy(arguments.strategy, new);
        if !runs {
            let change = Change::Settings(String::new());
            return Ok((decide_for(change, strategy, runs), None));
        }
        match self.running() {
            Some(old) => Ok((decide(self.name(), &old, new, strategy, runs)?, Some(old))),
            None => {
                let change = Change::Settings("it runs with other settings than are recorded".to_owned());
                Ok((decide_for(change, strategy, runs), None))
            }
        }
    }

    /// The mark of the settings that it was started with.
    fn used(&self) -> Option<String> {
        runtime_files::mark(self.context, self.name())
    }

    /// The intent that is in force in the running container.
    fn running(&self) -> Option<Intent> {
        let used = self.used()?;
        let toplevel = running_toplevel(self.context, self.name());
        let with = |toplevel: Option<StorePath>, intent: Intent| match toplevel {
            Some(toplevel) => Intent { toplevel, ..intent },
            None => intent,
        };
        let known = self.known().filter(|known| known.plan == used);
        if let Some(intent) = known.and_then(|known| parse(known.intent.as_bytes(), self.name()).ok()) {
            return Some(with(toplevel, intent));
        }
        // Nothing is remembered: the settings are the recorded ones if they give the same mark around the system that it
        // was started with.
        let Stored { name, kind, path, intent } = self.stored;
        let started = running_settings::recorded(self.context, name, *kind, path, intent, &used)?;
        Some(with(toplevel, started))
    }

    /// Acts; what was done, and why.
    fn act(&self, decision: Decision, old: Option<Intent>) -> Result<Decision> {
        let (context, name, new) = (self.context, self.name(), &self.stored.intent);
        let Decision { mut action, mut reason } = decision;
        let mut failed_inside = false;
        let mut before = BTreeSet::new();
        if action == Action::Reload {
            before = systemd::failed_units(context, name);
            match effect::reload(context, name, new, limit_or_start(None, new))? {
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
                // What nspawn has is what is planned; only the mark of the plan changes. Where the intent is the same and
                // the mark is not, the generator has become another: then a restart is due, which `status` tells.
                if old.as_ref() != Some(new) {
                    let text = fs::read(generated(&context.root, &format!("{name}.nspawn")))?;
                    put(&context.root, name, &text)
                        .with_context(|| copy_path(&context.root, name).display().to_string())?;
                    self.remember(&self.hash, new);
                } else if let Some(used) = self.used() {
                    // It was started by systemd. Another version's plan would not tell any more what it runs.
                    if self.known().is_none_or(|known| known.plan != used) {
                        self.remember(&used, new);
                    }
                }
            }
            Action::Reload => {
                gc_roots::keep_running(context, name, &new.toplevel)?;
                // It runs the new system in the old settings.
                if let (Some(used), Some(old)) = (self.used(), old) {
                    self.remember(&used, &Intent { toplevel: new.toplevel.clone(), ..old });
                }
            }
            Action::Restart => {
                let dependents = dependents::running(context, name)?;
                effect::restart(context, name, Some(&self.hash), Some(limit_or_start(None, new)))?;
                self.remember(&self.hash, new);
                dependents::start_again(context, &dependents);
            }
        }
        if failed_inside {
            let now = systemd::failed_units(context, name);
            let units: Vec<String> =
                now.difference(&before).map(|unit| nixos_nspawn_units::value::shown(unit)).collect();
            let units = if units.is_empty() { "units".to_owned() } else { units.join(", ") };
            return Err(Failed::Program(format!(
                "container '{name}' was reloaded, but in it failed {units}"
            ))
            .into());
        }
        Ok(Decision { action, reason })
    }

    fn known_path(&self) -> PathBuf {
        self.context.path(DIRECTORY).join(format!("{}{ENDING}", self.name()))
    }

    fn known(&self) -> Option<Known> {
        serde_json::from_slice(&fs::read(self.known_path()).ok()?).ok()
    }

    fn remember(&self, plan: &str, intent: &Intent) {
        let path = self.known_path();
        let folder = path.parent().unwrap_or(&path);
        let written = fs::create_dir_all(folder).map_err(anyhow::Error::from).and_then(|()| {
            let directory = openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let known = Known { plan: plan.to_owned(), intent: intent.to_json()? };
            let text = serde_json::to_string(&known)?;
            Ok(write_at_once(
                &directory,
                &format!("{}{ENDING}", self.name()),
                text.as_bytes(),
                Mode::from_raw_mode(0o600),
            )?)
        });
        if let Err(error) = written {
            // Then the next activation knows less, and restarts where a reload might have done.
            tell(&format!("{}: cannot be written: {error:#}", path.display()));
        }
    }
}

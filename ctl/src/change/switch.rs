//! The way from one generation to another, for updates and rollbacks: profile, intent, units, container, gate, in this
//! order, and back in one go if anything fails. A killed switch is settled by the next command: [`settle`]. The table of
//! states is in docs/decisions/interrupted.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nixos_nspawn_units::copies::{copy_path, generated, put};
use nixos_nspawn_units::intent::{Intent, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::context::Context;
use crate::base::exit::under;
use crate::base::failpoint::stop_point;
use crate::base::{interrupt, output};
use crate::change::effect::Reloaded;
use crate::change::gate::Gate;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::{effect, gate};
use crate::cli::Expect;
use crate::decision::activation::{Action, Decision};
use crate::fact::dependents;
use crate::fact::generations::generations;
use crate::host::journal::{journal_time, show_journal, show_journal_inside};
use crate::host::last_activation::{LastActivation, Outcome};
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

/// One switch.
pub(crate) struct Switch<'a> {
    pub(crate) context: &'a Context,
    pub(crate) nix: &'a Nix<'a>,
    pub(crate) name: &'a MachineName,
    /// What shall be recorded; its generation is filled in.
    pub(crate) new: Intent,
    pub(crate) target: Target,
    pub(crate) decision: Decision,
    pub(crate) expect: Expect,
    pub(crate) check: Option<&'a str>,
    pub(crate) limit: Duration,
    /// Leave what failed, for study.
    pub(crate) keep: bool,
}

impl Switch<'_> {
    /// Switches; on failure everything is as it was, unless it shall be kept. The generation that is current then.
    pub(crate) fn run(mut self, record: &mut Record) -> Result<Switched> {
        let begun = journal_time();
        let done = self.forward(record);
        let folder = record.details.profile_directory.clone();
        let note = |action: Action, result: Outcome, detail: String, generation: Option<u64>| {
            let last = LastActivation::now(generation.unwrap_or(0), action.into(), result, detail);
            if let Err(error) = last.write(self.context, &folder) {
                output::tell(&format!("the result cannot be recorded: {error:#}"));
            }
        };
        match done {
            Ok(action) => {
                note(action, Outcome::Done, self.decision.reason.clone(), self.new.generation);
                record.finish(self.context)?;
                if action == Action::Restart {
                    dependents::start_again(self.context, &record.details.dependents);
                }
                Ok(Switched { generation: self.new.generation, action, reason: self.decision.reason })
            }
            Err(error) => {
                interrupt::clean_up_begins();
                let touched = record.details.phase == Phase::Activating;
                match self.decision.action {
                    Action::Reload if touched => show_journal_inside(self.context, self.name, &begun),
                    _ if touched => show_journal(self.context, self.name, &begun),
                    _ => {}
                }
                note(self.decision.action, Outcome::Failed, format!("{error:#}"), self.new.generation);
                if self.keep && touched {
                    remove_pending(self.context, &folder);
                    record.finish(self.context)?;
                    // What requires it would only have it started again, were it down.
                    if systemd::state(self.context, self.name).is_ok_and(|state| state.active == "active") {
                        dependents::start_again(self.context, &record.details.dependents);
                    }
                    interrupt::clean_up_ends();
                    return Err(anyhow!("{error:#}").context(format!(
                        "container '{}' was updated and left as it is (--keep)",
                        self.name
                    )));
                }
                let back = take_back(self.context, self.nix, record, touched);
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
        let (context, name) = (self.context, self.name);
        interrupt::check()?;
        record.details.phase = Phase::Recording;
        record.details.new_intent = self.new.to_json()?;
        record.save(context)?;
        stop_point("recording");
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
        stop_point("profile");
        let planned = {
            let _global = Lock::global(context)?;
            let loaded = crate::fact::host::load(context)?;
            let (_, planned) = intent_file::check(&loaded, name, &self.new)?;
            crate::fact::host::record(context, &loaded.host)?;
            intent_file::write(context, name, &self.new)?;
            planned
        };
        stop_point("intent");
        gc_roots::keep(context, name, &self.new.toplevel)?;
        let plan = planned.hash.as_deref();
        systemd::reload_to(context, name, plan)?;
        networkd::apply(context, name);
        let old = parse(record.details.old_intent.as_bytes(), name).ok();
        sockets::align(context, name, old.as_ref(), &self.new)?;
        stop_point("reload");
        if self.decision.action == Action::Nothing {
            // What nspawn has is what is planned; only the mark of the plan changes.
            if copy_path(&context.root, name).exists() {
                let text = fs::read(generated(&context.root, &format!("{name}.nspawn")))?;
                put(&context.root, name, &text)
                    .with_context(|| copy_path(&context.root, name).display().to_string())?;
            }
            return Ok(Action::Nothing);
        }
        if self.decision.action == Action::AtNextStart {
            return Ok(Action::AtNextStart);
        }
        let gate = Gate {
            expect: self.expect,
            check: self.check,
            limit: self.limit,
            failed_before: systemd::failed_units(context, name),
        };
        record.details.dependents = dependents::running(context, name)?;
        record.details.phase = Phase::Activating;
        record.save(context)?;
        stop_point("activating");
        let mut action = self.decision.action;
        if action == Action::Reload {
            match effect::reload(context, name, &self.new, self.limit)? {
                Reloaded::Yes => {}
                Reloaded::UnitsFailed if self.expect == Expect::None => {}
                Reloaded::UnitsFailed => output::tell("switch-to-configuration says that units failed"),
                Reloaded::NeedsRestart(why) => {
                    self.decision.reason = why;
                    action = Action::Restart;
                }
            }
        }
        match action {
            Action::Restart => effect::restart(context, name, plan, Some(self.limit))?,
            _ => gc_roots::keep_running(context, name, &self.new.toplevel)?,
        }
        stop_point("activated");
        gate::pass(context, name, plan, &gate)?;
        stop_point("passed");
        Ok(action)
    }
}

/// Back to the intent of the record: profile, intent, units, and the container itself if it was `touched`.
pub(crate) fn take_back(context: &Context, nix: &Nix, record: &mut Record, touched: bool) -> Result<()> {
    let name = &record.name.clone();
    let details = &record.details;
    let old =
        parse(details.old_intent.as_bytes(), name).map_err(|fault| anyhow!("the old intent: {fault}"))?;
    // From the record: the file may hold the old one again, if taking back was killed before.
    let new = parse(details.new_intent.as_bytes(), name).ok();
    {
        let _global = Lock::global(context)?;
        intent_file::write_text(context, name, &details.old_intent)?;
    }
    stop_point("back-intent");
    let planned = intent_file::hash(name, &old);
    gc_roots::keep(context, name, &old.toplevel)?;
    if let (Some(profile), Some(generation)) = (&old.profile, old.generation) {
        let profile = Path::new(profile.as_str());
        align_profile(context, nix, &old);
        // What failed is not kept: a timer that fails each night would pile it up.
        let numbers = generations(context, name, &old).into_iter().map(|made| made.number);
        let made: Vec<String> = numbers
            .filter(|number| *number > details.newest_generation && *number != generation)
            .map(|number| number.to_string())
            .collect();
        if !made.is_empty() {
            let program = context.program(nix.tool("nix-env")).arg("--profile").arg(profile);
            if let Err(error) = program.arg("--delete-generations").args(made).output() {
                output::tell(&format!("{}: what failed stays in the profile: {error:#}", profile.display()));
            }
        }
    }
    remove_pending(context, &details.profile_directory);
    systemd::reload_to(context, name, planned.as_deref())?;
    networkd::apply(context, name);
    sockets::align(context, name, new.as_ref(), &old)?;
    stop_point("back-reload");
    if touched {
        let again = details.phase == Phase::Returning;
        effect::stop(context, name)?;
        record.details.phase = Phase::Returning;
        record.save(context)?;
        stop_point("back-stopped");
        match effect::start(context, name, planned.as_deref(), None) {
            // It would be in the way of an update that mends it.
            Err(error) if again => {
                interrupt::check()?;
                output::tell(&format!(
                    "{error:#}; its old generation is recorded again, and that is left so"
                ));
                return record.finish(context);
            }
            started => started?,
        }
    }
    if matches!(record.details.phase, Phase::Activating | Phase::Returning) {
        dependents::start_again(context, &record.details.dependents);
    }
    record.finish(context)
}

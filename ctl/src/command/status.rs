//! `status [NAME…]`: the state of containers, their generations, whether a restart is due, and the result of the last
//! activation, which updates record beside the profile. It changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::output::{Tone, painted, printable};
use crate::base::table::labelled;
use crate::base::time;
use crate::change::tidy::tidy;
use crate::cli::Status;
use crate::command::host_status;
use crate::command::several::{each, machine_names};
use crate::fact::generations::generations;
use crate::fact::lookup::in_overview;
use crate::fact::notes::{Note, notes, state};
use crate::fact::overview::{Container, Overview};
use crate::fact::summary::{UnitSummary, error, sentences};
use crate::host::inside::running_system;
use crate::host::last_activation::{ActivationResult, AppliedAction, LastActivation};
use crate::host::profile_links::profile_link;
use crate::host::runtime_files;
use crate::host::update_memory::{Failure, Hold};

/// A container as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct StatusAnswer<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(flatten)]
    unit: UnitSummary<'a>,
    /// When it entered its state, or, if it is active, when it was started (`machinectl status`); UTC, RFC 3339. Null if
    /// that is unknown.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    since: Option<String>,
    /// The recorded generation.
    generation: Option<u64>,
    /// The generation whose system the running container has.
    running_generation: Option<u64>,
    newest_generation: Option<u64>,
    toplevel: Option<&'a str>,
    running_toplevel: Option<String>,
    plan: Option<&'a str>,
    /// The plan that it was started with.
    running_plan: Option<String>,
    /// Whether a restart is needed to apply everything that is recorded; null if unknown.
    restart_needed: Option<bool>,
    /// Whether `systemctl daemon-reload` is needed.
    reload_needed: bool,
    last_activation: Option<LastActivation>,
    /// Why the container cannot start, why its last start failed, or why it is incomplete.
    error: Option<String>,
    /// Since when and why the container is held.
    held: Option<&'a Hold>,
    /// The last update that failed or was rolled back; cleared by the next one that succeeds.
    last_failure: Option<&'a Failure>,
    warnings: &'a [String],
    /// All that needs attention, as sentences.
    notes: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Status) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let asked: BTreeSet<&MachineName> = names.iter().collect();
    tidy(context);
    let overview = Overview::gather_some(context, &|name| asked.is_empty() || asked.contains(name))?;
    let mut gap = "";
    let shown = match names.is_empty() {
        true => host_status::answer(context, &overview),
        false => each(
            context,
            &names,
            |name| name,
            |name| {
                let container = in_overview(context, &overview, name)?;
                let details = details(context, container);
                let text =
                    format!("{gap}{}", text(container, &details, context.screen.width(), context.color));
                gap = "\n";
                Ok((details, text))
            },
        ),
    };
    overview.troubles().for_each(|trouble| context.screen.tell(trouble));
    shown
}

fn details<'a>(context: &Context, container: &'a Container) -> StatusAnswer<'a> {
    let Container { name, kind, intent, state, hash, .. } = container;
    let runs = container.runs();
    // Declarative containers have no profile of their own; a directory of that name is not theirs.
    let intent = intent.as_ref();
    let own = intent.filter(|_| *kind == Kind::Imperative);
    let all = own.and_then(|intent| generations(context, name, intent).ok()).unwrap_or_default();
    let running = all.iter().filter(|one| runs && one.running);
    let folder = own.and_then(|intent| profile_link(context, name, intent).parent().map(Path::to_owned));
    StatusAnswer {
        name: name.as_str(),
        kind: *kind,
        unit: UnitSummary::of(container),
        since: state.as_ref().and_then(|state| state.since.clone()),
        generation: intent.and_then(|intent| intent.generation),
        // Several may have the same system: prefer the recorded one, then the newest.
        running_generation: running.max_by_key(|one| (one.current, one.number)).map(|one| one.number),
        newest_generation: all.last().map(|one| one.number),
        toplevel: intent.map(|intent| intent.toplevel.as_str()),
        running_toplevel: running_system(context, name).filter(|_| runs).map(|path| path.to_string()),
        plan: hash.as_deref(),
        running_plan: runs.then(|| runtime_files::mark(context, name)).flatten(),
        restart_needed: (state.is_some() && hash.is_some()).then_some(container.restart_needed),
        reload_needed: container.reload_needed,
        last_activation: match folder {
            Some(folder) => LastActivation::read(context, &folder),
            None => LastActivation::read_for_now(context, name),
        },
        error: error(container),
        held: container.memory.hold.as_ref(),
        last_failure: container.memory.failure.as_ref(),
        warnings: &container.warnings,
        notes: sentences(container),
    }
}

/// The width of the label column.
const INDENT: usize = 16;

fn text(container: &Container, details: &StatusAnswer, width: Option<usize>, color: bool) -> String {
    let mut out = painted(details.name, Tone::Strong, color) + "\n";
    let mut section = |label: &str, mut lines: Vec<String>| {
        lines.retain(|line| !line.is_empty());
        out.push_str(&labelled(label, INDENT, &lines, width));
    };
    section("State", vec![state_line(container, details, color)]);
    section("Generation", vec![generation_line(details)]);
    section("Restart", vec![restart_line(details).to_owned()]);
    section("Last activation", activation_lines(details, color));
    let note = |Note { long, tone, .. }: &Note| {
        painted(long, if *tone == Tone::Bad { Tone::Bad } else { Tone::Plain }, color)
    };
    section("Notes", notes(container).iter().map(note).collect());
    out
}

fn state_line(container: &Container, details: &StatusAnswer, color: bool) -> String {
    let (word, tone) = state(container);
    let mut line = painted(word, tone, color);
    match details.unit.sub_state {
        Some(sub) => line.push_str(&format!(" ({sub})")),
        None => line.push_str(" (unknown: systemd was not asked)"),
    }
    if let Some(since) = &details.since {
        line.push_str(&format!(" since {}", time::local_of(since)));
    }
    if let Some(result) = details.unit.result.filter(|result| *result != "success") {
        line.push_str(&format!(", result '{result}'"));
    }
    line
}

fn generation_line(details: &StatusAnswer) -> String {
    let Some(current) = details.generation else { return String::new() };
    let mut line = format!("{current} is recorded");
    match (&details.running_toplevel, details.running_generation) {
        (_, Some(running)) if running == current => line.push_str(" and runs"),
        (_, Some(running)) => line.push_str(&format!(", {running} runs")),
        (Some(path), None) => line.push_str(&format!(", {path} runs, which is no longer a generation")),
        (None, None) => {}
    }
    match details.newest_generation {
        Some(newest) if newest != current => line + &format!(", {newest} is the newest"),
        _ => line,
    }
}

fn restart_line(details: &StatusAnswer) -> &'static str {
    match (details.restart_needed, details.running_plan.is_some()) {
        (Some(true), _) => "due, to apply the recorded configuration",
        (Some(false), true) => "not due",
        _ => "",
    }
}

fn activation_lines(details: &StatusAnswer, color: bool) -> Vec<String> {
    let Some(last) = &details.last_activation else { return Vec::new() };
    let (word, tone) = match last.result {
        ActivationResult::Done => ("done", Tone::Plain),
        ActivationResult::Failed => ("failed", Tone::Bad),
    };
    let how = match last.action {
        AppliedAction::Reload => "by reload",
        AppliedAction::Restart => "by restart",
        AppliedAction::Start => "by start",
        AppliedAction::None => "without touching the container",
    };
    let when = time::local_of(&last.time);
    let mut line = format!("{when} {}", painted(word, tone, color));
    // A generation that failed before it had a number is 0.
    if last.generation > 0 {
        line.push_str(&format!(", generation {}", last.generation));
    }
    line.push_str(&format!(", {how}"));
    // It may include output of programs.
    let detail = last.detail.lines().map(|line| printable(line).into_owned());
    std::iter::once(line).chain(detail).collect()
}

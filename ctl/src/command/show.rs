//! `show NAME…`: everything known about containers, as text or JSON: what is recorded, what systemd made of it, how
//! far it reaches into the host, and the generated files, from the same plan that the generator writes. It changes
//! nothing.

use std::collections::BTreeSet;

use anyhow::Result;
use nixos_nspawn_units::intent::{Intent, Overrides, Source};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::Entry;
use nixos_nspawn_units::reach::Reach;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::output::{Tone, painted};
use crate::base::table::labelled;
use crate::base::time;
use crate::change::tidy::tidy;
use crate::cli::Shown;
use crate::command::several::{each, machine_names};
use crate::decision::overrides;
use crate::fact::generated_file::GeneratedFile;
use crate::fact::generations::generations;
use crate::fact::lookup::in_overview;
use crate::fact::notes::{Note, notes, state, yes_no};
use crate::fact::option_lines::option_lines;
use crate::fact::overview::{Container, Overview};
use crate::fact::summary::{Summary, known_autostart};
use crate::host::inside::running_system;
use crate::host::runtime_files;
use crate::host::source_secrets::masked;
use crate::nix::profile;

/// The summary of `list`, and everything else.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ShowAnswer<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    pub(crate) source: Option<Source>,
    pub(crate) profile: Option<&'a str>,
    /// The administrator's setting; null leaves it to the container.
    pub(crate) autostart_override: Option<bool>,
    /// What the administrator has set over the options of the build.
    pub(crate) overrides: Option<&'a Overrides>,
    /// The options that differ from their default, with the overrides.
    pub(crate) options: serde_json::Value,
    pub(crate) host_reach: Vec<String>,
    /// Settings of a python-nixos-nspawn profile that serve only its own machinery.
    pub(crate) left_out: Vec<String>,
    pub(crate) host_interface: Option<String>,
    pub(crate) state_directory: String,
    /// The system that runs, which may differ from the recorded one.
    pub(crate) running_toplevel: Option<String>,
    pub(crate) plan: Option<&'a str>,
    pub(crate) loaded_plan: Option<&'a str>,
    pub(crate) running_plan: Option<String>,
    pub(crate) files: Vec<GeneratedFile<'a>>,
}

/// Runs the command.
pub(crate) fn show(context: &Context, arguments: &Shown) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let asked: BTreeSet<&MachineName> = names.iter().collect();
    tidy(context);
    let overview = Overview::gather_some(context, &|name| asked.contains(name))?;
    let files = overview.plan.files_by_container();
    let mut gap = "";
    let shown = each(
        context,
        &names,
        |name| name,
        |name| {
            let container = in_overview(context, &overview, name)?;
            let own = files.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let details = details(context, container, own)?;
            let text = format!("{gap}{}", text(container, &details, context.screen.width(), context.color));
            gap = "\n";
            Ok((details, text))
        },
    );
    overview.troubles().for_each(|trouble| context.screen.tell(trouble));
    shown
}

/// Returns what was left out of the recorded profile, as far as it can be read.
fn left_out(context: &Context, name: &MachineName, intent: &Intent) -> Vec<String> {
    let current = generations(context, name, intent)
        .unwrap_or_default()
        .into_iter()
        .find(|generation| generation.current);
    let profile = current.and_then(|generation| profile::read(context, &generation.path, name).ok());
    profile.map(|profile| [profile.warnings, profile.left_out].concat()).unwrap_or_default()
}

fn details<'a>(
    context: &Context,
    container: &'a Container,
    files: &[(&'a str, &'a Entry)],
) -> Result<ShowAnswer<'a>> {
    let name = &container.name;
    let intent = container.intent.as_ref();
    let state = container.state.as_ref();
    let running = container.runs();
    let options = match intent {
        Some(Intent { container, .. }) => serde_json::to_value(container)?,
        None => serde_json::Value::Null,
    };
    Ok(ShowAnswer {
        summary: Summary::of(context, container),
        source: intent.and_then(|intent| intent.source.as_ref()).map(masked),
        profile: intent.and_then(|intent| intent.profile.as_ref()).map(|path| path.as_str()),
        autostart_override: intent.and_then(|intent| intent.autostart),
        overrides: intent.map(|intent| &intent.overrides),
        options,
        host_reach: intent.map(|intent| Reach::of(&intent.container).lines()).unwrap_or_default(),
        left_out: intent.map(|intent| left_out(context, name, intent)).unwrap_or_default(),
        host_interface: intent.and_then(|intent| intent.container.host_interface(name)),
        state_directory: format!("{}/{name}", context.scope.machines),
        running_toplevel: running_system(context, name).filter(|_| running).map(|path| path.to_string()),
        plan: container.hash.as_deref(),
        loaded_plan: state.and_then(|state| state.plan.as_deref()),
        running_plan: running.then(|| runtime_files::mark(context, name)).flatten(),
        files: files.iter().map(|(path, entry)| GeneratedFile::of(path, entry)).collect(),
    })
}

/// The width of the label column.
const INDENT: usize = 12;

/// Returns the text for people.
pub(crate) fn text(container: &Container, details: &ShowAnswer, width: Option<usize>, color: bool) -> String {
    let mut out = painted(container.name.as_str(), Tone::Strong, color) + "\n";
    let mut section = |label: &str, lines: Vec<String>| {
        out.push_str(&labelled(label, INDENT, &lines, width));
    };
    section("Type", vec![container.kind.to_string()]);
    section("State", vec![state_line(container, details, color)]);
    section("Autostart", vec![autostart_line(container, details)]);
    section("Notes", notes(container).iter().map(|note| note_line(note, color)).collect());
    section("Remedy", remedy(container));
    section("Source", details.source.as_ref().map(source_lines).unwrap_or_default());
    section("System", system_lines(container, details));
    let interface = details.host_interface.iter().filter(|_| container.runs());
    section("Interface", interface.map(|name| format!("{name} (on the host)")).collect());
    section("Addresses", container.addresses.clone());
    section("Overrides", details.overrides.map(overrides::lines).unwrap_or_default());
    section("Options", option_lines(&details.options));
    section("Host reach", host_reach_lines(container, details));
    section("Left out", details.left_out.clone());
    section("Intent", container.intent_file.iter().cloned().collect());
    section("Profile", details.profile.iter().map(|path| (*path).to_owned()).collect());
    section("Data", vec![details.state_directory.clone()]);
    section("Unit", vec![unit_name(&container.name)]);
    section("Plan", plan_lines(details));
    section("Files", file_lines(&container.name, details));
    out
}

fn note_line(note: &Note, color: bool) -> String {
    painted(&note.long, if note.tone == Tone::Bad { Tone::Bad } else { Tone::Plain }, color)
}

fn state_line(container: &Container, details: &ShowAnswer, color: bool) -> String {
    let (word, tone) = state(container);
    let mut line = painted(word, tone, color);
    let Some(state) = &container.state else { return line + " (unknown: systemd was not asked)" };
    if !state.sub.is_empty() {
        line.push_str(&format!(" ({})", state.sub));
    }
    if let Some(since) = details.summary.since {
        line.push_str(&format!(" since {}", time::local_of(since)));
    }
    if !["", "success"].contains(&state.result.as_str()) {
        line.push_str(&format!(", result '{}'", state.result));
    }
    line
}

fn autostart_line(container: &Container, details: &ShowAnswer) -> String {
    let whose = match (&container.intent, details.autostart_override) {
        (None, _) => "",
        (Some(_), Some(_)) => " (set by the administrator)",
        (Some(_), None) => " (set by the container)",
    };
    format!("{}{whose}", known_autostart(container).map_or("-", yes_no))
}

/// Returns what to do about an invalid intent.
fn remedy(container: &Container) -> Vec<String> {
    match (&container.refusal, &container.intent_file) {
        (Some(_), _) if container.unreadable => vec!["try again with sudo".to_owned()],
        (Some(_), Some(path)) => vec![format!("correct {path}, then run 'systemctl daemon-reload'")],
        _ => Vec::new(),
    }
}

fn source_lines(source: &Source) -> Vec<String> {
    let Source { flake, owner, locked, config, profile, system, nixpkgs, nix_args, applied } = source;
    let mut lines = Vec::new();
    let mut line = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{label} {value}"));
        }
    };
    let by = if *applied { " (by apply)" } else { "" };
    line("flake", flake.as_ref().map(|flake| format!("{flake}{by}")));
    line("owner", owner.map(|owner| format!("user {owner}")));
    line("locked", locked.as_ref().map(ToString::to_string));
    line("config", config.as_ref().map(ToString::to_string));
    line("profile", profile.as_ref().map(ToString::to_string));
    line("for", system.as_ref().map(ToString::to_string));
    line("nixpkgs", nixpkgs.as_ref().map(ToString::to_string));
    let words: Vec<&str> = nix_args.iter().map(|word| word.as_str()).collect();
    line("nix arguments", Some(words.join(" ")).filter(|words| !words.is_empty()));
    lines
}

fn system_lines(container: &Container, details: &ShowAnswer) -> Vec<String> {
    let Some(intent) = &container.intent else { return Vec::new() };
    let generation = intent.generation.map(|number| format!(" (generation {number})")).unwrap_or_default();
    let mut lines = vec![format!("{}{generation}", intent.toplevel)];
    if let Some(running) = details.running_toplevel.as_ref().filter(|path| *path != intent.toplevel.as_str())
    {
        lines.push(format!("{running} (running)"));
    }
    lines
}

/// Describes how far the container reaches into the host, even if it does not.
fn host_reach_lines(container: &Container, details: &ShowAnswer) -> Vec<String> {
    match (&container.intent, details.host_reach.is_empty()) {
        (Some(_), true) => vec!["none of its options".to_owned()],
        _ => details.host_reach.clone(),
    }
}

/// Returns the paths of the generated files, and how to see more of them.
fn file_lines(name: &MachineName, details: &ShowAnswer) -> Vec<String> {
    if details.files.is_empty() {
        return Vec::new();
    }
    let hint = format!("('nixos-nspawn cat {name}' prints them)");
    details.files.iter().map(|file| file.path.to_string()).chain([hint]).collect()
}

fn plan_lines(details: &ShowAnswer) -> Vec<String> {
    let Some(plan) = details.plan else { return Vec::new() };
    let mut lines = vec![plan.to_owned()];
    if let Some(loaded) = details.loaded_plan.filter(|loaded| *loaded != plan) {
        lines.push(format!("{loaded} (loaded by systemd)"));
    }
    if let Some(running) = details.running_plan.as_ref().filter(|running| *running != plan) {
        lines.push(format!("{running} (in use)"));
    }
    lines
}

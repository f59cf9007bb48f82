//! The text of `show`: labels at the left, one thing per line, then the generated files as `systemctl cat` would show
//! them. Gathered details go in, a text comes out; nothing is looked up here.

use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::service::unit_name;
use serde_json::Value;

use crate::inspect::Container;
use crate::list::known_autostart;
use crate::notes::{Note, notes, state, yes_no};
use crate::output::{Tone, painted};
use crate::show::Details;

/// The label column; labels end before it.
const INDENT: usize = 12;

/// The text for people.
pub(crate) fn text(container: &Container, details: &Details, color: bool) -> String {
    let mut out = painted(container.name.as_str(), Tone::Strong, color) + "\n";
    let mut section = |label: &str, lines: Vec<String>| {
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 && !label.is_empty() { format!("{label}:") } else { String::new() };
            out.push_str(&format!("{label:>INDENT$} {line}\n"));
        }
    };
    section("Type", vec![container.kind.to_string()]);
    section("State", vec![state_line(container, details, color)]);
    section("Autostart", vec![autostart_line(container, details)]);
    section("Notes", notes(container).iter().map(|note| note_line(note, color)).collect());
    section("Remedy", remedy(container));
    section("Source", details.source.map(source_lines).unwrap_or_default());
    section("System", system_lines(container, details));
    let interface = details.host_interface.iter().filter(|_| container.runs());
    section("Interface", interface.map(|name| format!("{name} (on the host)")).collect());
    section("Addresses", details.addresses.clone());
    section("Options", option_lines(&details.options));
    section("Host reach", host_reach_lines(container, details));
    section("Left out", details.left_out.clone());
    section("Intent", container.intent_file.iter().cloned().collect());
    section("Profile", details.profile.iter().map(|path| (*path).to_owned()).collect());
    section("Data", vec![details.state_directory.clone()]);
    section("Unit", vec![unit_name(&container.name)]);
    section("Plan", plan_lines(details));
    for file in &details.files {
        let target = file.link_to.map(|target| format!(" -> {target}")).unwrap_or_default();
        out.push_str(&format!("\n{}\n", painted(&format!("# {}{target}", file.path), Tone::Strong, color)));
        out.push_str(file.text.unwrap_or_default());
    }
    out
}

fn note_line(note: &Note, color: bool) -> String {
    painted(&note.long, if note.tone == Tone::Bad { Tone::Bad } else { Tone::Plain }, color)
}

fn state_line(container: &Container, details: &Details, color: bool) -> String {
    let (word, tone) = state(container);
    let mut line = painted(word, tone, color);
    let Some(state) = &container.state else { return line + " (not known: systemd was not asked)" };
    if !state.sub.is_empty() {
        line.push_str(&format!(" ({})", state.sub));
    }
    if let Some(since) = details.since {
        line.push_str(&format!(" since {since}"));
    }
    if !["", "success"].contains(&state.result.as_str()) {
        line.push_str(&format!(", result '{}'", state.result));
    }
    line
}

fn autostart_line(container: &Container, details: &Details) -> String {
    let whose = match (&container.intent, details.autostart_override) {
        (None, _) => "",
        (Some(_), Some(_)) => " (set by the administrator)",
        (Some(_), None) => " (as the container says)",
    };
    format!("{}{whose}", known_autostart(container).map_or("-", yes_no))
}

/// What to do about an intent that cannot be used.
fn remedy(container: &Container) -> Vec<String> {
    match (&container.refusal, &container.intent_file) {
        (Some(_), _) if container.unreadable => vec!["try again with sudo".to_owned()],
        (Some(_), Some(path)) => vec![format!("correct {path}, then run 'systemctl daemon-reload'")],
        _ => Vec::new(),
    }
}

fn source_lines(source: &Source) -> Vec<String> {
    let Source { flake, locked, config, profile, system, nixpkgs, nix_args } = source;
    let mut lines = Vec::new();
    let mut line = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("{label} {value}"));
        }
    };
    line("flake", flake.as_ref().map(ToString::to_string));
    line("locked", locked.as_ref().map(ToString::to_string));
    line("config", config.as_ref().map(ToString::to_string));
    line("profile", profile.as_ref().map(ToString::to_string));
    line("for", system.as_ref().map(ToString::to_string));
    line("nixpkgs", nixpkgs.as_ref().map(ToString::to_string));
    let words: Vec<&str> = nix_args.iter().map(|word| word.as_str()).collect();
    line("nix arguments", Some(words.join(" ")).filter(|words| !words.is_empty()));
    lines
}

fn system_lines(container: &Container, details: &Details) -> Vec<String> {
    let Some(intent) = &container.intent else { return Vec::new() };
    let generation = intent.generation.map(|number| format!(" (generation {number})")).unwrap_or_default();
    let mut lines = vec![format!("{}{generation}", intent.toplevel)];
    if let Some(running) = details.running_toplevel.as_ref().filter(|path| *path != intent.toplevel.as_str())
    {
        lines.push(format!("{running} (runs now)"));
    }
    lines
}

/// `name = value`, one line for each item of a list.
pub(crate) fn option_lines(options: &Value) -> Vec<String> {
    fn add(lines: &mut Vec<String>, name: &str, value: &Value) {
        match value {
            Value::Object(fields) if !name.ends_with("NetworkConfig") => {
                let dotted =
                    |key: &String| if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                fields.iter().for_each(|(key, value)| add(lines, &dotted(key), value));
            }
            Value::Array(items) => {
                items.iter().for_each(|item| lines.push(format!("{name} = {}", one(item))));
            }
            other => lines.push(format!("{name} = {}", one(other))),
        }
    }
    let mut lines = Vec::new();
    if !options.is_null() {
        add(&mut lines, "", options);
    }
    lines
}

/// How far it reaches into the host; that it does not is said as well.
fn host_reach_lines(container: &Container, details: &Details) -> Vec<String> {
    match (&container.intent, details.host_reach.is_empty()) {
        (Some(_), true) => vec!["none of its options".to_owned()],
        _ => details.host_reach.clone(),
    }
}

fn one(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn plan_lines(details: &Details) -> Vec<String> {
    let Some(plan) = details.plan else { return Vec::new() };
    let mut lines = vec![plan.to_owned()];
    if let Some(loaded) = details.loaded_plan.filter(|loaded| *loaded != plan) {
        lines.push(format!("{loaded} (what systemd has loaded)"));
    }
    if let Some(running) = details.running_plan.as_ref().filter(|running| *running != plan) {
        lines.push(format!("{running} (what it runs with)"));
    }
    lines
}

//! Notes on a container beside its state: a keyword for the table and a sentence for people, the most important
//! first.

use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Kind;

use crate::base::output::{Tone, printable};
use crate::fact::overview::{Container, Unfinished};
use crate::host::record::Begun;
use crate::host::update_memory::FailureKind;

/// A note on a container.
pub(crate) struct Note {
    /// One or two words.
    pub(crate) short: &'static str,
    /// A sentence without the container's name, which the caller prepends.
    pub(crate) long: String,
    /// How bad it is.
    pub(crate) tone: Tone,
}

/// Returns all notes on a container, the most important first.
pub(crate) fn notes(container: &Container) -> Vec<Note> {
    let name = &container.name;
    let mut notes = Vec::new();
    // They may quote programs and containers.
    let mut note =
        |short, tone, long: String| notes.push(Note { short, long: printable(&long).into_owned(), tone });
    if let Some(unfinished) = container.unfinished {
        let (short, long) = unfinished_note(unfinished, name.as_str());
        note(short, if unfinished.process.is_some() { Tone::Doubtful } else { Tone::Bad }, long);
    }
    match &container.refusal {
        Some(reason) if container.unreadable => {
            note("unreadable", Tone::Doubtful, format!("{reason}; try again with sudo"));
        }
        Some(reason) => {
            let what = match container.runs() {
                true => "running; the next start will be refused",
                false => "the start is refused",
            };
            let remedy = match container.kind {
                Kind::Imperative => "after a correction, 'systemctl daemon-reload' reads it again",
                Kind::Declarative => "a corrected configuration of the system replaces it",
            };
            note("refused", Tone::Bad, format!("{what}: {reason}; {remedy}"));
        }
        None => {}
    }
    // The reason why a broken intent is refused is already among the notes.
    let failed = container.state.as_ref().filter(|state| state.active == "failed");
    if let Some(state) = failed.filter(|_| container.refusal.is_none()) {
        match &container.why_failed {
            Some(why) => {
                let remedy = format!("after a correction, 'systemctl start {}' tries again", unit_name(name));
                note("start refused", Tone::Bad, format!("its last start was refused: {why}; {remedy}"));
            }
            None => {
                let remedy = format!("'journalctl -u {}' shows why", unit_name(name));
                note("see journal", Tone::Bad, format!("failed ({}); {remedy}", state.result));
            }
        }
    }
    if let Some(failure) = &container.memory.failure {
        let short = match failure.kind {
            FailureKind::Failed => "update failed",
            FailureKind::RolledBack => "rolled back",
        };
        let remedy = format!("'nixos-nspawn update {name}' tries again");
        note(short, Tone::Doubtful, format!("its last update {}; {remedy}", failure.text()));
    }
    if let Some(hold) = &container.memory.hold {
        let remedy = format!("'nixos-nspawn unhold {name}' lets 'update --all' update it");
        note("held", Tone::Plain, format!("{}; {remedy}", hold.text()));
    }
    for warning in &container.warnings {
        note("warning", Tone::Doubtful, warning.clone());
    }
    if container.masked {
        let remedy = format!("'systemctl unmask {}' lets it start again", unit_name(name));
        note("masked", Tone::Doubtful, format!("masked by 'systemctl mask'; {remedy}"));
    }
    if !container.enabled_links.is_empty() && !container.autostart {
        let links = container.enabled_links.join(", ");
        let remedy = match container.kind {
            Kind::Imperative => format!("nixos-nspawn disable {name}"),
            Kind::Declarative => format!("systemctl disable {}", unit_name(name)),
        };
        let long = format!("starts with the host anyway, enabled by {links}; '{remedy}' disables it");
        note("enabled", Tone::Doubtful, long);
    } else if !container.enabled_links.is_empty() {
        let links = container.enabled_links.join(", ");
        note("enabled", Tone::Plain, format!("enabled by systemctl as well: {links}"));
    }
    if container.reload_needed {
        let loaded = container.state.as_ref().and_then(|state| state.plan.as_ref());
        let what = if loaded.is_some() { "an older plan" } else { "no plan" };
        let remedy = if container.reload_helps { "; run 'systemctl daemon-reload'" } else { "" };
        let long = format!("systemd has {what} loaded{remedy}");
        note("not loaded", Tone::Doubtful, long);
    }
    if container.restart_needed {
        let remedy = format!("'systemctl restart {}' applies the recorded ones", unit_name(name));
        note("outdated", Tone::Plain, format!("runs with earlier settings; {remedy}"));
    }
    notes
}

fn unfinished_note(unfinished: Unfinished, name: &str) -> (&'static str, String) {
    match (unfinished.step, unfinished.process) {
        (Begun::Creating, Some(process)) => {
            ("being created", format!("is being created by process {process}"))
        }
        (Begun::Removing, Some(process)) => {
            ("being removed", format!("is being removed by process {process}"))
        }
        (Begun::Updating, Some(process)) => {
            ("being updated", format!("is being updated by process {process}"))
        }
        (Begun::Renaming, Some(process)) => {
            ("being renamed", format!("is being renamed by process {process}"))
        }
        (Begun::Renaming, None) => {
            ("half renamed", "half renamed by a killed command: the next command settles it".to_owned())
        }
        (Begun::Updating, None) => {
            let long =
                "half updated by a killed command: the next 'nixos-nspawn update' or 'rollback' settles it";
            ("half updated", long.to_owned())
        }
        (Begun::Creating, None) => {
            ("half created", format!("half created: 'nixos-nspawn remove {name}' cleans up"))
        }
        (Begun::Removing, None) => {
            ("half removed", format!("half removed: 'nixos-nspawn remove {name}' finishes it"))
        }
    }
}

/// Returns the most important keyword: more would not fit into 80 columns, and sentences follow below the table.
pub(crate) fn brief(notes: &[Note]) -> Option<String> {
    let first = notes.first()?;
    let more = notes.iter().any(|note| note.short != first.short);
    Some(format!("{}{}", first.short, if more { ", …" } else { "" }))
}

/// Returns `yes` or `no`.
pub(crate) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Returns the unit's state, or `-` if it is unknown.
pub(crate) fn state(container: &Container) -> (&str, Tone) {
    shown_state(container.state.as_ref().map(|state| state.active.as_str()))
}

/// Returns the state of a unit as it is shown.
pub(crate) fn shown_state(state: Option<&str>) -> (&str, Tone) {
    match state {
        None | Some("") => ("-", Tone::Plain),
        Some("active") => ("active", Tone::Good),
        Some("failed") => ("failed", Tone::Bad),
        Some(other) => (other, Tone::Plain),
    }
}

/// Returns the unit's state as a word for scripts.
pub(crate) fn state_word(container: &Container) -> &str {
    match state(container) {
        ("-", _) => "unknown",
        (word, _) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::UnitState;
    use crate::host::update_memory::Failure;

    /// Returns the first note on a container.
    fn first(kind: Kind, change: impl Fn(&mut Container)) -> String {
        let mut web = Container::new("web".parse().unwrap(), kind);
        change(&mut web);
        notes(&web).remove(0).long
    }

    fn state(active: &str) -> Option<UnitState> {
        Some(UnitState { active: active.into(), ..UnitState::default() })
    }

    #[test]
    fn notes_say_what_to_do() {
        let refused = |kind, active| {
            first(kind, |web| (web.refusal, web.state) = (Some("x: bad".into()), state(active)))
        };
        let reload = "after a correction, 'systemctl daemon-reload' reads it again";
        assert_eq!(
            refused(Kind::Imperative, "active"),
            format!("running; the next start will be refused: x: bad; {reload}")
        );
        assert_eq!(refused(Kind::Imperative, "inactive"), format!("the start is refused: x: bad; {reload}"));
        assert!(
            refused(Kind::Declarative, "active")
                .ends_with("; a corrected configuration of the system replaces it")
        );
        let unreadable = |web: &mut Container| {
            (web.refusal, web.unreadable) = (Some("x: cannot be read".into()), true);
        };
        assert_eq!(first(Kind::Imperative, unreadable), "x: cannot be read; try again with sudo");
        let failed = |web: &mut Container| (web.why_failed, web.state) = (Some("x".into()), state("failed"));
        assert_eq!(
            first(Kind::Imperative, failed),
            "its last start was refused: x; after a correction, 'systemctl start systemd-nspawn@web.service' tries \
             again"
        );
        for kind in [FailureKind::Failed, FailureKind::RolledBack] {
            let update = |web: &mut Container| web.memory.failure = Some(Failure::now(kind, "x", None));
            let long = first(Kind::Imperative, update);
            assert!(long.ends_with(": x; 'nixos-nspawn update web' tries again"), "{long}");
        }
    }
}

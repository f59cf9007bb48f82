//! `status` without a name: how many containers are in which state, and what needs attention, each with its remedy.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::base::secrets::without_password;
use crate::base::table::wrapped;
use crate::change::host_flake::{host_names, usual};
use crate::fact::notes::{notes, state_word};
use crate::fact::overview::Overview;

/// The host as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct HostAnswer<'a> {
    containers: usize,
    /// How many are in which state; `unknown` if systemd was not asked.
    states: BTreeMap<&'a str, usize>,
    attention: Vec<Attention<'a>>,
    /// Files in /etc/nixos-nspawn that are not containers.
    faults: Vec<&'a str>,
    /// The name and the tags by which a flake knows this host.
    host_names: Vec<String>,
    /// The flake that `apply` takes by default, without passwords; null if there is none.
    flake: Option<String>,
}

/// Something that needs attention.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Attention<'a> {
    name: &'a str,
    /// What it is, and what to do.
    note: String,
    /// Whether the container cannot start, or a command left it incomplete.
    failure: bool,
}

/// Answers for the whole host. As for `list`, an unreadable directory is an error.
pub(crate) fn answer(context: &Context, overview: &Overview) -> Result<()> {
    let containers = overview.containers.values();
    let mut states = BTreeMap::new();
    for container in containers.clone() {
        *states.entry(state_word(container)).or_default() += 1;
    }
    let attention = containers.flat_map(|container| {
        let urgent = notes(container).into_iter().filter(|note| note.tone != Tone::Plain);
        urgent.map(|note| Attention {
            name: container.name.as_str(),
            note: note.long,
            failure: note.tone == Tone::Bad,
        })
    });
    let mut attention: Vec<Attention> = attention.collect();
    // Failures first, otherwise by name.
    attention.sort_by_key(|one| !one.failure);
    let faults = overview.faults.iter().map(|fault| fault.text.as_str()).collect();
    let answer = HostAnswer {
        containers: overview.containers.len(),
        states,
        attention,
        faults,
        host_names: host_names(context).all,
        flake: context
            .json
            .then(|| usual(context, &context.load()))
            .flatten()
            .map(|text| without_password(&text)),
    };
    let hidden = overview.faults.iter().any(|fault| fault.hides);
    context.answer(&answer, |answer| text(answer, hidden, context.screen.width(), context.color))?;
    match hidden {
        true => Err(Failed::Silent.into()),
        false => Ok(()),
    }
}

/// Returns the text for people. Nobody knows whether there are containers if some are `hidden`.
fn text(answer: &HostAnswer, hidden: bool, width: Option<usize>, color: bool) -> String {
    let states: Vec<String> = answer.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let line = |text: &str| wrapped(text, width) + "\n";
    let doctor = line(DOCTOR);
    let mut text = match answer.containers {
        0 if hidden => String::new(),
        0 => line("no containers"),
        1 => line(&format!("1 container: {}", states.join(", "))),
        count => line(&format!("{count} containers: {}", states.join(", "))),
    };
    if answer.attention.is_empty() && answer.faults.is_empty() {
        if answer.containers > 0 {
            text.push_str(&line("nothing needs attention"));
        }
        return text + &doctor;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    for Attention { name, note, failure } in &answer.attention {
        let tone = if *failure { Tone::Bad } else { Tone::Doubtful };
        text.push_str(&line(&format!("{}: {note}", painted(name, tone, color))));
    }
    for fault in &answer.faults {
        text.push_str(&line(fault));
    }
    text + "\n" + &doctor
}

/// The pointer to the checks of the host itself.
const DOCTOR: &str = "'nixos-nspawn doctor' checks the host itself";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_attention_is_told() {
        let attention = |name, failure| Attention { name, note: "a note; 'a command'".to_owned(), failure };
        let mut answer = HostAnswer {
            containers: 3,
            states: [("active", 2), ("failed", 1)].into(),
            attention: vec![attention("db", true), attention("web", false)],
            faults: vec!["/etc/nixos-nspawn/a b.json: a fault"],
            host_names: Vec::new(),
            flake: None,
        };
        assert_eq!(
            text(&answer, false, None, false),
            format!(
                "3 containers: 2 active, 1 failed\n\ndb: a note; 'a command'\nweb: a note; 'a command'\n\
                 /etc/nixos-nspawn/a b.json: a fault\n\n{DOCTOR}\n"
            )
        );
        let narrow = text(&answer, false, Some(20), false);
        assert!(narrow.contains("\ndb: a note; 'a\n  command'\n"), "{narrow}");
        assert!(narrow.lines().all(|line| line.len() <= 20 || !line.trim().contains(' ')), "{narrow}");
        answer.attention.clear();
        answer.faults.clear();
        let fine = "3 containers: 2 active, 1 failed\nnothing needs attention\n";
        assert_eq!(text(&answer, false, None, false), format!("{fine}{DOCTOR}\n"));
        let answer = HostAnswer { containers: 0, states: BTreeMap::new(), ..answer };
        assert_eq!(text(&answer, false, None, false), format!("no containers\n{DOCTOR}\n"));
        let answer = HostAnswer { faults: vec!["/etc/nixos-nspawn: a fault"], ..answer };
        let hidden = format!("/etc/nixos-nspawn: a fault\n\n{DOCTOR}\n");
        assert_eq!(text(&answer, true, None, false), hidden);
    }
}

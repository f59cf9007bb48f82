//! The result of a check: how bad it is, what is the case, and the next step.

use serde::Serialize;

use crate::decision::doctor::fix::Fix;
use crate::fact::doctor::seen::Unseen;

/// A check: the name by which scripts know it, and what its answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Check {
    name: &'static str,
    of_containers: bool,
}

impl Check {
    /// Returns a check of the host, whose answer is the same whichever containers a caller sees, or says itself which it
    /// does not see.
    pub(crate) const fn of_host(name: &'static str) -> Self {
        Self { name, of_containers: false }
    }

    /// Returns a check that can find something only if it sees all containers.
    pub(crate) const fn of_containers(name: &'static str) -> Self {
        Self { name, of_containers: true }
    }

    /// Returns its name.
    pub(crate) const fn name(self) -> &'static str {
        self.name
    }
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It is as it should be.
    Ok,
    /// It works, but somebody may want to know.
    Note,
    /// It may fail, or something that was asked for has no effect.
    Warning,
    /// Something does not work.
    Failure,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The check.
    pub(crate) check: Check,
    /// How bad it is.
    pub(crate) level: Level,
    /// What is the case, and the consequence.
    pub(crate) text: String,
    /// The next step.
    pub(crate) next: Option<String>,
    /// The next step on NixOS, where it is another one: there, files in /etc are generated.
    pub(crate) nixos: Option<String>,
    /// The repair that `--fix` makes.
    pub(crate) fix: Option<Fix>,
}

impl Verdict {
    /// Returns that all is well.
    pub(crate) fn ok(check: Check, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), next: None, nixos: None, fix: None }
    }

    /// Returns a note.
    pub(crate) fn note(check: Check, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::at(Level::Note, check, text, next)
    }

    /// Returns a warning.
    pub(crate) fn warning(check: Check, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::at(Level::Warning, check, text, next)
    }

    /// Returns a failure.
    pub(crate) fn failure(check: Check, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self::at(Level::Failure, check, text, next)
    }

    /// Returns a verdict; `next` is the next step or `""`.
    pub(crate) fn at(level: Level, check: Check, text: impl Into<String>, next: impl Into<String>) -> Self {
        let next = Some(next.into()).filter(|next| !next.is_empty());
        Self { check, level, text: text.into(), next, nixos: None, fix: None }
    }

    /// Returns that something could not be looked at: a note if root would see it, otherwise a warning.
    pub(crate) fn unseen(check: Check, unseen: &Unseen) -> Self {
        let text = format!("not checked: {}", unseen.why);
        match unseen.needs_root {
            true => Self::note(check, text, "sudo nixos-nspawn doctor"),
            false => Self::warning(check, text, ""),
        }
    }

    /// Replaces the next step on a host whose files NixOS generates.
    pub(crate) fn on_nixos(self, next: impl Into<String>) -> Self {
        Self { nixos: Some(next.into()).filter(|next| !next.is_empty()), ..self }
    }

    /// Chooses the next step for the host. A repair does not write what NixOS generates.
    pub(crate) fn for_host(self, nixos: bool) -> Self {
        if !nixos {
            return Self { nixos: None, ..self };
        }
        let fix = self.fix.filter(|fix| !matches!(fix, Fix::Setup | Fix::RecordHost));
        Self { next: self.nixos.or(self.next), nixos: None, fix, ..self }
    }

    /// Returns what becomes of it for a caller who may not see all containers, for this reason: what is well, or only worth
    /// a note, may not be.
    pub(crate) fn without_containers(self, reason: &Unseen) -> Self {
        match self.check.of_containers && self.level <= Level::Note {
            true => Self::unseen(self.check, reason),
            false => self,
        }
    }

    /// Adds the repair that `--fix` makes.
    pub(crate) fn fixed_by(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Check = Check::of_host("x");

    #[test]
    fn next_steps_on_nixos() {
        let verdict =
            || Verdict::warning(CHECK, "x", "setup").on_nixos("an option").fixed_by(Fix::RecordHost);
        let there = verdict().for_host(true);
        assert_eq!((there.next.as_deref(), there.fix), (Some("an option"), None));
        let elsewhere = verdict().for_host(false);
        assert_eq!((elsewhere.next.as_deref(), elsewhere.fix), (Some("setup"), Some(Fix::RecordHost)));
        let same =
            Verdict::warning(CHECK, "x", "systemctl daemon-reload").fixed_by(Fix::Reload).for_host(true);
        assert_eq!((same.next.as_deref(), same.fix), (Some("systemctl daemon-reload"), Some(Fix::Reload)));
    }
}

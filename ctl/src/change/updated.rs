//! What an update or a rollback came to, for people and for scripts. What a switch did goes in, lines, a table or JSON
//! come out; nothing is decided here.

use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::change::switch::Switched;
use crate::host::last_activation::Action;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A new generation is recorded.
    Updated,
    /// An earlier generation is recorded.
    RolledBack,
    /// There was nothing to do.
    UpToDate,
    /// It was taken back, or nothing was changed; the error tells.
    Failed,
}

/// One container's result.
#[derive(Debug, Serialize)]
pub(crate) struct Updated {
    pub(crate) name: MachineName,
    pub(crate) result: Outcome,
    /// The generation before; null after a failure.
    old_generation: Option<u64>,
    /// The generation that is recorded; null after a failure.
    pub(crate) generation: Option<u64>,
    /// What was done to the container, and why; null if there was nothing to do.
    action: Option<Action>,
    reason: Option<String>,
    error: Option<String>,
}

impl Updated {
    /// There was nothing to do.
    pub(crate) fn nothing(name: &MachineName, generation: Option<u64>) -> Self {
        Self {
            name: name.clone(),
            result: Outcome::UpToDate,
            old_generation: generation,
            generation,
            action: None,
            reason: None,
            error: None,
        }
    }

    /// It was switched.
    pub(crate) fn switched(
        name: &MachineName,
        before: Option<u64>,
        switched: Switched,
        result: Outcome,
    ) -> Self {
        let Switched { generation, action, reason } = switched;
        let (action, reason) = (Some(action.into()), Some(reason));
        Self { result, generation, action, reason, ..Self::nothing(name, before) }
    }

    /// It failed.
    pub(crate) fn failed(name: &MachineName, error: &anyhow::Error) -> Self {
        Self { result: Outcome::Failed, error: Some(format!("{error:#}")), ..Self::nothing(name, None) }
    }

    /// The failure as a message, if it is one.
    pub(crate) fn error_line(&self) -> Option<String> {
        self.error.as_ref().map(|error| format!("container '{}': failed: {error}", self.name))
    }

    /// The line that tells of it alone.
    pub(crate) fn line(&self) -> String {
        format!("container '{}': {}", self.name, self.text())
    }

    fn text(&self) -> String {
        let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        match (&self.error, self.action) {
            (Some(error), _) => format!("failed: {error}"),
            (None, None) => "is up to date".to_owned(),
            (None, Some(action)) => {
                let how = match action {
                    Action::Reload => "reloaded",
                    Action::Restart => "restarted",
                    Action::Start | Action::None => "not touched",
                };
                let (before, after) = (number(self.old_generation), number(self.generation));
                let reason = self.reason.as_deref().unwrap_or_default();
                format!("generation {before} -> {after}, {how}: {reason}")
            }
        }
    }
}

/// Several results in a table.
pub(crate) fn table(results: &[Updated]) -> String {
    let width = results.iter().map(|one| one.name.as_str().len()).max().unwrap_or(0).max(4);
    let line = |one: &Updated| format!("{:width$}  {}\n", one.name.as_str(), one.text());
    format!("{:width$}  RESULT\n", "NAME") + &results.iter().map(line).collect::<String>()
}

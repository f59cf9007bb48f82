//! The commands whose answers several hosts give in one table of containers, in place of the text of each.

use std::time::SystemTime;

use serde_json::Value;

use super::{list_table, updates_table};
use crate::cli::Command;

/// The kind of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OneTable {
    /// The containers, with or without a legend.
    Containers { legend: bool },
    /// What was done with each container.
    Updates,
}

impl OneTable {
    /// Returns the table of a command; `None` if each host's text is shown.
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::List(list) if !list.quiet => Some(Self::Containers { legend: !list.no_legend }),
            Command::Update(update) if !update.several.dry_run => Some(Self::Updates),
            Command::Apply(apply) if !apply.several.dry_run => Some(Self::Updates),
            _ => None,
        }
    }

    /// Returns whether it can be made of an answer.
    pub(super) fn reads(self, answer: &Value) -> bool {
        match self {
            Self::Containers { .. } => list_table::read(answer).is_some(),
            Self::Updates => updates_table::read(answer).is_some(),
        }
    }

    /// Returns whether the table shows what a message of a host with this answer says.
    pub(super) fn says(self, answer: &Value, message: &str) -> bool {
        match self {
            Self::Containers { .. } => false,
            Self::Updates => {
                updates_table::read(answer).is_some_and(|all| updates_table::says(&all, message))
            }
        }
    }

    /// Returns the table of the answers that can be read, for a terminal of this width.
    pub(super) fn text<'a>(
        self,
        answers: &[(&'a str, &Value)],
        (width, color): (Option<usize>, bool),
    ) -> String {
        match self {
            Self::Containers { legend } => {
                let read = |(host, answer): &(&'a str, &Value)| Some((*host, list_table::read(answer)?));
                let answers = answers.iter().filter_map(read).collect();
                list_table::text(answers, legend, (width, color), SystemTime::now())
            }
            Self::Updates => {
                let read = |(host, answer): &(&'a str, &Value)| Some((*host, updates_table::read(answer)?));
                let answers: Vec<_> = answers.iter().filter_map(read).collect();
                updates_table::text(&answers, color)
            }
        }
    }
}

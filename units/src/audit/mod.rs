//! How far a container is exposed to abuse: a row for each way it has to its host, with a weight, and a score from 0.0 to
//! 10.0, as `systemd-analyze security` has them for services. The rows say what a container may do, not what it does.
//! docs/hardening.md explains the numbers.

mod capabilities;
mod facts;
mod files;
mod limits;
mod matter;
mod names;
mod network;
mod rights;

use serde::Serialize;

use crate::intent::Container;
use facts::Facts;
use matter::{Finding, Matter};

/// The audit of one container.
///
/// ```
/// use nixos_nspawn_units::audit::{Audit, Level};
/// use nixos_nspawn_units::intent::Container;
///
/// let audit = Audit::of(&Container::default());
/// assert_eq!((audit.score(), audit.level()), (75, Level::Exposed));
/// assert_eq!(audit.rows()[0].id, "userNamespacing");
///
/// let audit = Audit::of(&Container { user_namespacing: true, ..Container::default() });
/// assert_eq!(audit.level(), Level::Ok);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    rows: Vec<Row>,
}

/// One way from a container to its host, open or closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// A name, which no other row has: an option, or the first capability of a group.
    pub id: &'static str,
    /// The options that decide it.
    pub settings: &'static [&'static str],
    /// What the container can do, or cannot.
    pub what: &'static str,
    /// Everything that the options add to it, in the words of its reach.
    pub details: Vec<String>,
    /// How much it counts.
    pub weight: u32,
    /// How far it is open, in percent.
    pub exposure: u32,
    /// The least score, in tenths, that a container with it has.
    pub at_least: u32,
    /// How to close it, if that is possible.
    pub remedy: Option<&'static str>,
}

/// What a score means, by the names of `systemd-analyze security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Level {
    /// 0.0.
    Perfect,
    /// From 0.1.
    Safe,
    /// From 1.0.
    Ok,
    /// From 5.0.
    Medium,
    /// From 7.5.
    Exposed,
    /// From 9.0.
    Unsafe,
    /// 10.0.
    Dangerous,
}

impl Level {
    /// Returns the level of a score in tenths.
    pub fn of(score: u32) -> Self {
        match score {
            0 => Self::Perfect,
            1..10 => Self::Safe,
            10..50 => Self::Ok,
            50..75 => Self::Medium,
            75..90 => Self::Exposed,
            90..100 => Self::Unsafe,
            _ => Self::Dangerous,
        }
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perfect => "PERFECT",
            Self::Safe => "SAFE",
            Self::Ok => "OK",
            Self::Medium => "MEDIUM",
            Self::Exposed => "EXPOSED",
            Self::Unsafe => "UNSAFE",
            Self::Dangerous => "DANGEROUS",
        }
    }
}

impl Row {
    /// Returns its part of the score, in hundredths, or the score that it alone makes, if that is more.
    pub fn points(&self) -> u32 {
        ((10 * self.weight * self.exposure + total() / 2) / total()).max(10 * self.at_least)
    }
}

impl Audit {
    /// Audits these options.
    pub fn of(container: &Container) -> Self {
        let facts = Facts::of(container);
        let mut rows: Vec<Row> = all().map(|matter| row(matter, (matter.find)(&facts))).collect();
        rows.sort_by_key(|row| {
            std::cmp::Reverse((row.at_least, u64::from(row.weight) * u64::from(row.exposure), row.weight))
        });
        Self { rows }
    }

    /// Returns the rows, the worst first.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the score in tenths: the average of the exposures by their weights, but no less than a single row demands.
    pub fn score(&self) -> u32 {
        let sum: u32 = self.rows.iter().map(|row| row.weight * row.exposure).sum();
        let average = (sum + total() / 2) / total();
        self.rows.iter().map(|row| row.at_least).fold(average, u32::max)
    }

    /// Returns the level of the score.
    pub fn level(&self) -> Level {
        Level::of(self.score())
    }
}

fn row(matter: &Matter, Finding { exposure, at_least, details }: Finding) -> Row {
    let Matter { id, settings, weight, open, closed, remedy, find: _ } = *matter;
    let what = if exposure > 0 { open } else { closed };
    Row { id, settings, what, details, weight, exposure, at_least, remedy: remedy.filter(|_| exposure > 0) }
}

/// Iterates over everything that is audited.
fn all() -> impl Iterator<Item = &'static Matter> {
    [rights::MATTERS, capabilities::MATTERS, files::MATTERS, network::MATTERS, limits::MATTERS]
        .into_iter()
        .flatten()
}

/// Returns the sum of all weights, the same for every container.
fn total() -> u32 {
    all().map(|matter| matter.weight).sum()
}

#[cfg(test)]
mod tests;

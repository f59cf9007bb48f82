//! Limits how many containers start at the same time (`bootLimit` of host.json) by systemd's own means: a slice that
//! limits how many of its units may be activating, or, where systemd has no such limit, targets that make each
//! container wait for its turn.

use std::collections::BTreeMap;

use crate::name::MachineName;
use crate::service::unit_name;
use crate::store::Host;
use crate::version::ACTIVATING_CONCURRENCY_MAX;
use systemd_unit_syntax::UnitFile;

/// The slice of all containers; it exists only with a limit. machine.slice gets none, since it holds other machines
/// too.
pub const SLICE: &str = "machine-nixosnspawn.slice";

/// How the limit applies to each container.
#[derive(Debug, Default)]
pub(crate) enum BootLimit<'a> {
    /// There is no limit.
    #[default]
    None,
    /// The slice enforces it.
    Slice(u32),
    /// Each container waits for the start of another one.
    Turns(BTreeMap<&'a MachineName, &'a MachineName>),
}

impl<'a> BootLimit<'a> {
    /// Returns whether the limit depends on the order of the containers.
    pub(crate) fn takes_turns(host: &Host) -> bool {
        host.boot_limit.is_some() && host.systemd < ACTIVATING_CONCURRENCY_MAX
    }

    /// Returns the limit on this host. `at_boot` returns the containers that start at boot, each after all that it
    /// waits for.
    pub(crate) fn of(host: &Host, at_boot: impl FnOnce() -> Vec<&'a MachineName>) -> Self {
        let Some(limit) = host.boot_limit else { return Self::None };
        let limit = limit.get();
        if !Self::takes_turns(host) {
            return Self::Slice(limit);
        }
        let order = at_boot();
        let later = order.iter().skip(usize::try_from(limit).unwrap_or(usize::MAX));
        // Parallel chains, one for each permitted start: within a chain, only one container starts at a time. An
        // earlier container never waits for a later one, so no chain closes a cycle.
        Self::Turns(later.copied().zip(order.iter().copied()).collect())
    }

    /// Adds what the limit needs to a container's drop-in. The plan's hash leaves it out: it depends on other
    /// containers and is no reason to restart this one.
    pub(crate) fn apply(&self, name: &MachineName, drop_in: &mut UnitFile) {
        for section in &mut drop_in.sections {
            match (self, section.name.as_ref()) {
                // systemd 262 retries a waiting start whenever another unit of the slice makes progress, and counts
                // each try as a start: units at the end of a long queue would fail with start-limit-hit.
                (Self::Slice(_), "Unit") if !section.has("StartLimitIntervalSec") => {
                    section.set("StartLimitIntervalSec", "0");
                }
                (Self::Slice(_), "Service") if !section.has("Slice") => {
                    section.set("Slice", SLICE);
                }
                (Self::Turns(turns), "Unit") if turns.contains_key(name) => {
                    let turn = turn_unit(name);
                    section.set("Wants", turn.as_str());
                    section.set("After", turn);
                }
                _ => {}
            }
        }
    }

    /// Returns the slice, or the targets, by file name.
    pub(crate) fn units(&self) -> Vec<(String, UnitFile)> {
        match self {
            Self::None => Vec::new(),
            Self::Slice(limit) => vec![(SLICE.to_owned(), slice(*limit))],
            Self::Turns(turns) => {
                let unit = |(name, before): (&&MachineName, &&MachineName)| {
                    let turn = turn_target(name, before, turns.contains_key(before));
                    (turn_unit(name), turn)
                };
                turns.iter().map(unit).collect()
            }
        }
    }
}

const TURN_PREFIX: &str = "nixos-nspawn-turn-";
const TURN_ENDING: &str = ".target";

/// Returns the name of the target that is reached when a container may start.
pub fn turn_unit(name: &MachineName) -> String {
    format!("{TURN_PREFIX}{name}{TURN_ENDING}")
}

/// Returns the container of such a target.
pub(crate) fn turn_of(unit: &str) -> Option<&str> {
    unit.strip_prefix(TURN_PREFIX)?.strip_suffix(TURN_ENDING)
}

fn slice(limit: u32) -> UnitFile {
    let mut file = UnitFile::default();
    let unit = file.section("Unit");
    unit.set("Description", "NixOS Containers");
    unit.set("Documentation", "man:nixos-nspawn.conf(5)");
    file.section("Slice").set("ActivatingConcurrencyMax", limit.to_string());
    file
}

/// The container waits for its target, and the target for another container. With `After=` between the containers
/// themselves they would also wait for each other when they stop; nothing stops a target.
fn turn_target(name: &MachineName, before: &MachineName, before_has_turn: bool) -> UnitFile {
    let mut file = UnitFile::default();
    let unit = file.section("Unit");
    unit.set("Description", format!("Turn of Container {name} to Start"));
    unit.set("Documentation", "man:nixos-nspawn.conf(5)");
    unit.set("DefaultDependencies", "no");
    unit.set("IgnoreOnIsolate", "yes");
    unit.set("After", unit_name(before));
    // The one before may be masked, which passes the turn on from its own predecessor.
    if before_has_turn {
        let turn = turn_unit(before);
        unit.set("Wants", turn.as_str());
        unit.set("After", turn);
    }
    file
}

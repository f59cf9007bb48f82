//! What is known of the containers at one moment. [`Overview::gather`] finds it out.

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::Plan;
use nixos_nspawn_units::store::Kind;

use crate::host::record::Begun;
use crate::host::systemd::UnitState;

/// Everything at one moment.
pub(crate) struct Overview {
    /// The containers by name.
    pub(crate) containers: BTreeMap<MachineName, Container>,
    /// What stands in /etc/nixos-nspawn and is no container.
    pub(crate) faults: Vec<Fault>,
    /// What the generator writes for all that was loaded.
    pub(crate) plan: Plan,
    /// Why the states are not known, where systemd was asked.
    pub(crate) unknown_states: Option<String>,
    /// Why systemd has none of our units, where that is so.
    pub(crate) generator_fault: Option<String>,
}

/// A file or directory that cannot be used and names no container.
pub(crate) struct Fault {
    /// Whose it would be.
    pub(crate) kind: Kind,
    /// Path and reason.
    pub(crate) text: String,
    /// Whether containers may be missing from the overview because of it.
    pub(crate) hides: bool,
}

/// One container.
pub(crate) struct Container {
    /// Its name.
    pub(crate) name: MachineName,
    /// Who manages it.
    pub(crate) kind: Kind,
    /// The file it is recorded in; `None` if only traces of it are left.
    pub(crate) intent_file: Option<String>,
    /// What the file says, if it can be used.
    pub(crate) intent: Option<Intent>,
    /// The hash of its plan.
    pub(crate) hash: Option<String>,
    /// Whether it starts with the host.
    pub(crate) autostart: bool,
    /// Its unit; `None` if systemd was not asked or gave no answer.
    pub(crate) state: Option<UnitState>,
    /// Why its start is refused.
    pub(crate) refusal: Option<String>,
    /// Why the unit helper refused its last start, if it did.
    pub(crate) why_failed: Option<String>,
    /// Whether only the caller cannot read the file.
    pub(crate) unreadable: bool,
    /// A create or remove that did not come to its end.
    pub(crate) unfinished: Option<Unfinished>,
    /// Whether PID 1 has something else loaded than is planned.
    pub(crate) reload_needed: bool,
    /// Whether `systemctl daemon-reload` would change that: not without a generator.
    pub(crate) reload_helps: bool,
    /// Whether it runs with other settings than are planned.
    pub(crate) restart_needed: bool,
    /// Links made by `systemctl enable`, on which ours have no influence.
    pub(crate) enabled_links: Vec<String>,
    /// Whether `systemctl mask` keeps it from starting.
    pub(crate) masked: bool,
    /// Conflicts and the like.
    pub(crate) warnings: Vec<String>,
}

/// A command that is under way, or was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// What it was about.
    pub(crate) step: Begun,
    /// Its process, if it still runs.
    pub(crate) process: Option<u32>,
}

impl Container {
    /// Returns one of which nothing else is known.
    pub(crate) fn new(name: MachineName, kind: Kind) -> Self {
        Self {
            name,
            kind,
            intent_file: None,
            intent: None,
            hash: None,
            autostart: false,
            state: None,
            refusal: None,
            why_failed: None,
            unreadable: false,
            unfinished: None,
            reload_needed: false,
            reload_helps: true,
            restart_needed: false,
            enabled_links: Vec::new(),
            masked: false,
            warnings: Vec::new(),
        }
    }

    /// Whether its unit runs, or is about to.
    pub(crate) fn runs(&self) -> bool {
        self.state.as_ref().is_some_and(|state| !state.stopped())
    }
}

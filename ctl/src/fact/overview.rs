//! The state of the containers at one moment. [`Overview::gather`] collects it.

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::Plan;
use nixos_nspawn_units::store::Kind;

use crate::host::record::Begun;
use crate::host::systemd::UnitState;
use crate::host::update_memory::UpdateMemory;

/// The state of all containers at one moment.
pub(crate) struct Overview {
    /// The containers by name.
    pub(crate) containers: BTreeMap<MachineName, Container>,
    /// Files in /etc/nixos-nspawn that are not containers.
    pub(crate) faults: Vec<Fault>,
    /// What the generator writes for all loaded intents.
    pub(crate) plan: Plan,
    /// Why the states are unknown, if systemd was asked.
    pub(crate) unknown_states: Option<String>,
    /// Why addresses are unknown, if machined was asked and gave no answer.
    pub(crate) unknown_addresses: Option<String>,
    /// Why systemd has none of our units, if so.
    pub(crate) generator_fault: Option<String>,
}

impl Overview {
    /// Returns why parts of the overview are unknown, or systemd has none of our units.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = &String> {
        self.unknown_states.iter().chain(&self.generator_fault)
    }

    /// Returns the directory whose containers this caller may not see.
    pub(crate) fn denied(&self) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.hides && fault.denied)
    }
}

/// A file or directory that cannot be used and belongs to no container.
pub(crate) struct Fault {
    /// Who would manage it.
    pub(crate) kind: Kind,
    /// Path and reason.
    pub(crate) text: String,
    /// Whether containers may be missing from the overview because of it.
    pub(crate) hides: bool,
    /// Whether only this caller cannot read it.
    pub(crate) denied: bool,
}

impl Fault {
    /// Returns that something beside the intents cannot be seen.
    pub(super) fn unseen(error: &anyhow::Error) -> Self {
        Self { kind: Kind::Imperative, text: format!("{error:#}"), hides: false, denied: false }
    }
}

/// One container.
pub(crate) struct Container {
    /// Its name.
    pub(crate) name: MachineName,
    /// Who manages it.
    pub(crate) kind: Kind,
    /// The file of its intent; `None` if only traces of it are left.
    pub(crate) intent_file: Option<String>,
    /// Its intent, if that is valid.
    pub(crate) intent: Option<Intent>,
    /// The hash of its plan.
    pub(crate) hash: Option<String>,
    /// Whether it starts with the host.
    pub(crate) autostart: bool,
    /// Its unit; `None` if systemd was not asked or gave no answer.
    pub(crate) state: Option<UnitState>,
    /// Its addresses, if it runs.
    pub(crate) addresses: Vec<String>,
    /// Why its start is refused.
    pub(crate) refusal: Option<String>,
    /// Why the unit helper refused its last start, if it did.
    pub(crate) why_failed: Option<String>,
    /// Whether the file is unreadable for this caller only.
    pub(crate) unreadable: bool,
    /// A create or remove that has not completed.
    pub(crate) unfinished: Option<Unfinished>,
    /// Whether PID 1 has loaded something other than the plan.
    pub(crate) reload_needed: bool,
    /// Whether `systemctl daemon-reload` would fix that; without a generator it would not.
    pub(crate) reload_helps: bool,
    /// Whether it runs with settings other than the planned ones.
    pub(crate) restart_needed: bool,
    /// Links made by `systemctl enable`, which override our autostart setting.
    pub(crate) enabled_links: Vec<String>,
    /// Whether `systemctl mask` prevents it from starting.
    pub(crate) masked: bool,
    /// Warnings, such as conflicts.
    pub(crate) warnings: Vec<String>,
    /// The record of its updates.
    pub(crate) memory: UpdateMemory,
}

/// A command in progress, or one that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// What it does.
    pub(crate) step: Begun,
    /// Its process, if it is still running.
    pub(crate) process: Option<u32>,
}

impl Container {
    /// Returns a container of which nothing else is known.
    pub(crate) fn new(name: MachineName, kind: Kind) -> Self {
        Self {
            name,
            kind,
            intent_file: None,
            intent: None,
            hash: None,
            autostart: false,
            state: None,
            addresses: Vec::new(),
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
            memory: UpdateMemory::default(),
        }
    }

    /// Returns whether its unit runs, or is about to.
    pub(crate) fn runs(&self) -> bool {
        self.state.as_ref().is_some_and(|state| !state.stopped())
    }
}

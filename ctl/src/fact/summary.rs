//! A container as `list --json` shows it, and its unit as other commands show it as well.

use std::borrow::Cow;
use std::path::Path;

use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::{ForwardPort, Intent};
use nixos_nspawn_units::plan::OWN_DIRECTORY;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Kind;
use serde::Serialize;

use crate::base::host::Host;
use crate::base::output::Tone;
use crate::base::tree::{open_below, read_regular};
use crate::fact::notes::{brief, notes};
use crate::fact::overview::Container;
use crate::host::record::Begun;
use crate::host::systemd::UnitState;
use crate::host::update_memory::{Failure, Hold};

/// A container as scripts see it. `name`, `unit_file` and `is_imperative` are python-nixos-nspawn's keys.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Summary<'a> {
    name: &'a str,
    /// The generated .nspawn file; null if there is none, because the container is refused.
    unit_file: Option<String>,
    is_imperative: bool,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(flatten)]
    unit: UnitSummary<'a>,
    /// Null if the caller may not read the intent, or there is none.
    autostart: Option<bool>,
    masked: bool,
    enabled_links: &'a [String],
    /// When it entered its state, or, if it is active, when it was started (`machinectl status`); UTC, RFC 3339. Null if
    /// that is unknown.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base::time::UTC)))]
    pub(crate) since: Option<&'a str>,
    addresses: &'a [String],
    /// The ports of the host that lead to it, as in `forwardPorts`.
    ports: Vec<Cow<'a, ForwardPort>>,
    toplevel: Option<&'a str>,
    /// The NixOS release of its system.
    version: Option<String>,
    generation: Option<u64>,
    intent_file: Option<&'a str>,
    /// `creating`, `updating` or `removing`, if that is in progress or was killed.
    unfinished: Option<&'a str>,
    /// Why the container cannot start, why its last start failed, or why it is incomplete.
    error: Option<String>,
    /// Since when and why the container is held.
    held: Option<&'a Hold>,
    /// The last update that failed or was rolled back; cleared by the next one that succeeds.
    last_failure: Option<&'a Failure>,
    warnings: &'a [String],
    reload_needed: bool,
    restart_needed: bool,
    /// What needs attention most, in a few words, as in the column NOTE.
    note: Option<String>,
    /// All of this that needs attention, as sentences.
    notes: Vec<String>,
}

impl<'a> Summary<'a> {
    /// Returns the summary of a container.
    pub(crate) fn of(host: &Host, container: &'a Container) -> Self {
        let Container { name, kind, intent_file, intent, hash, .. } = container;
        let remarks = notes(container);
        Self {
            name: name.as_str(),
            unit_file: hash.is_some().then(|| unit_file(container)),
            is_imperative: *kind == Kind::Imperative,
            kind: *kind,
            unit: UnitSummary::of(container),
            autostart: known_autostart(container),
            masked: container.masked,
            enabled_links: &container.enabled_links,
            since: container.state.as_ref().and_then(|state| state.since.as_deref()),
            addresses: &container.addresses,
            ports: intent.iter().flat_map(|intent| claimed_ports(&intent.container)).collect(),
            toplevel: intent.as_ref().map(|intent| intent.toplevel.as_str()),
            version: version(host, container),
            generation: intent.as_ref().and_then(|Intent { generation, .. }| *generation),
            intent_file: intent_file.as_deref(),
            unfinished: container.unfinished.map(|unfinished| match unfinished.step {
                Begun::Creating => "creating",
                Begun::Updating => "updating",
                Begun::Removing => "removing",
                Begun::Renaming => "renaming",
            }),
            error: error(container),
            held: container.memory.hold.as_ref(),
            last_failure: container.memory.failure.as_ref(),
            warnings: &container.warnings,
            reload_needed: container.reload_needed,
            restart_needed: container.restart_needed,
            note: brief(&remarks),
            notes: remarks.into_iter().map(|note| note.long).collect(),
        }
    }
}

/// Returns the notes on a container, as the text below `list` has them.
pub(crate) fn sentences(container: &Container) -> Vec<String> {
    notes(container).into_iter().map(|note| note.long).collect()
}

/// Returns the NixOS release that is recorded.
pub(crate) fn version(host: &Host, container: &Container) -> Option<String> {
    let file = format!("{}/nixos-version", container.intent.as_ref()?.toplevel);
    let bytes = open_below(&host.root, Path::new(&file)).and_then(read_regular).ok()?;
    let plain = |c: &char| c.is_ascii_graphic();
    // The release without the revision of nixpkgs, 26.05.20260501 of 26.05.20260501.abc1234.
    let text: String = String::from_utf8_lossy(&bytes).trim().chars().take_while(plain).take(32).collect();
    Some(text.splitn(4, '.').take(3).collect::<Vec<_>>().join(".")).filter(|text| !text.is_empty())
}

/// Returns what is wrong with a container, if anything is.
pub(crate) fn error(container: &Container) -> Option<String> {
    let bad = || notes(container).into_iter().find(|note| note.tone == Tone::Bad).map(|note| note.long);
    container.refusal.clone().or_else(bad)
}

/// A container's unit as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct UnitSummary<'a> {
    unit: String,
    /// `ActiveState=` and the like of the unit; null if systemd does not run or gave no answer.
    state: Option<&'a str>,
    pub(crate) sub_state: Option<&'a str>,
    pub(crate) result: Option<&'a str>,
}

impl<'a> UnitSummary<'a> {
    /// Returns the summary of a container's unit.
    pub(crate) fn of(container: &'a Container) -> Self {
        let said = |value: fn(&UnitState) -> &String| {
            container.state.as_ref().map(value).map(String::as_str).filter(|value| !value.is_empty())
        };
        Self {
            unit: unit_name(&container.name),
            state: said(|state| &state.active),
            sub_state: said(|state| &state.sub),
            result: said(|state| &state.result),
        }
    }
}

/// Returns whether it starts with the host, as far as the caller may know.
pub(crate) fn known_autostart(container: &Container) -> Option<bool> {
    (container.intent_file.is_some() && !container.unreadable).then_some(container.autostart)
}

/// Returns the path of the generated .nspawn file.
fn unit_file(container: &Container) -> String {
    format!("/{GENERATOR_DIRECTORY}/{OWN_DIRECTORY}/{}.nspawn", container.name)
}

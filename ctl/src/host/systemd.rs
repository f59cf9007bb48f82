//! Calls systemctl, with one call for many units. A daemon-reload has succeeded only if PID 1 shows that it has loaded
//! the plan.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::{PLAN_VARIABLE, unit_name};

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::time;

/// The unit of a container, as PID 1 sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `active`, `inactive`, `failed`, `activating`, …
    pub(crate) active: String,
    /// `running`, `dead`, …
    pub(crate) sub: String,
    /// The result of the last run, `success` if it was good.
    pub(crate) result: String,
    /// The hash of the loaded plan.
    pub(crate) plan: Option<String>,
    /// Whether `systemctl daemon-reload` is needed.
    pub(crate) need_reload: bool,
    /// When it entered its state, or, while it is active, when the container was started; UTC, RFC 3339. `None` if that is
    /// unknown.
    pub(crate) since: Option<String>,
    /// What marks the messages of its last run in the journal (`InvocationID=`); empty if there was none, or it was not
    /// asked for.
    pub(crate) invocation: String,
    /// Whether `systemctl freeze` keeps it from running; false if it was not asked for.
    pub(crate) frozen: bool,
}

impl UnitState {
    /// Returns whether no process of the unit is left.
    pub(crate) fn stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }
}

const PROPERTIES: [&str; 10] = [
    "Id",
    "ActiveState",
    "SubState",
    "Result",
    "Environment",
    "NeedDaemonReload",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
    "InvocationID",
    "FreezerState",
];

/// Returns the unit of one container; PID 1 loads it for that.
pub(crate) fn state(host: &Host, name: &MachineName) -> Result<UnitState> {
    // A unit with another Id= is an alias, about which nothing is known.
    let state = shown(host, &[name])?.remove(name).filter(|state| !state.active.is_empty());
    state.ok_or_else(|| unexpected(name))
}

fn unexpected(name: &MachineName) -> Error {
    Failed::Program(format!("systemctl show {}: unexpected answer", unit_name(name))).into()
}

/// Asks PID 1 for units, in one call.
pub(super) fn shown(host: &Host, names: &[&MachineName]) -> Result<BTreeMap<MachineName, UnitState>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = host
        .manager("systemctl")
        .args(["show", "--timestamp=unix"])
        .args(PROPERTIES.iter().flat_map(|property| ["-p", property]))
        .arg("--")
        .args(names.iter().map(|name| unit_name(name)))
        .output()?;
    Ok(parse_states(&answer, names))
}

/// Parses blocks of KEY=VALUE lines separated by empty lines; the order of keys is not guaranteed.
fn parse_states(answer: &str, names: &[&MachineName]) -> BTreeMap<MachineName, UnitState> {
    let units: BTreeMap<String, &MachineName> = names.iter().map(|name| (unit_name(name), *name)).collect();
    let prefix = format!("{PLAN_VARIABLE}=");
    let mut states = BTreeMap::new();
    for block in answer.split("\n\n") {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let Some(name) = units.get(&value("Id")) else { continue };
        let plan =
            value("Environment").split(' ').find_map(|word| word.strip_prefix(&prefix).map(str::to_owned));
        states.insert(
            (*name).clone(),
            UnitState {
                active: value("ActiveState"),
                sub: value("SubState"),
                result: value("Result"),
                plan,
                need_reload: value("NeedDaemonReload") == "yes",
                since: time::utc_of_unix(&value(match value("ActiveState").as_str() {
                    // A reload changes the state and back.
                    "active" => "ActiveEnterTimestamp",
                    _ => "StateChangeTimestamp",
                })),
                invocation: value("InvocationID"),
                frozen: value("FreezerState").starts_with("frozen"),
            },
        );
    }
    states
}

/// Asks `systemctl is-active` or `is-enabled` about a unit. Without an answer it is not known to be off.
pub(crate) fn unit_is(host: &Host, question: &str, unit: &str) -> Result<bool> {
    let (status, answer) = host.manager("systemctl").args([question, unit]).answer()?;
    match answer.trim() {
        "" => Err(Failed::Program(format!("systemctl {question} {unit}: no answer")).into()),
        _ => Ok(status.success()),
    }
}

/// Returns the `ActiveState` of a unit.
pub(crate) fn active_state(host: &Host, unit: &str) -> Result<String> {
    let answer = host.manager("systemctl").args(["show", "-P", "ActiveState", "--", unit]).output()?;
    match answer.trim() {
        "" => Err(Failed::Program(format!("systemctl show {unit}: no answer")).into()),
        state => Ok(state.to_owned()),
    }
}

/// Makes PID 1 run the generators and reload all units.
pub(crate) fn daemon_reload(host: &Host) -> Result<()> {
    host.manager("systemctl").arg("daemon-reload").output().map(|_| ())
}

/// Reloads, and verifies that the container's unit has this plan hash (or, for `None`, that it is not ours). The exit
/// status is not enough: if another generator dies from a signal, our units are lost and the status is 0.
pub(crate) fn reload_to(host: &Host, name: &MachineName, plan: Option<&str>) -> Result<()> {
    daemon_reload(host)?;
    loaded_to(host, name, plan, state(host, name)?.plan.as_deref())
}

/// Reloads once for several containers, and verifies each. Returns those of which systemd did not load what it should.
pub(crate) fn reload_all(
    host: &Host,
    plans: &BTreeMap<MachineName, Option<String>>,
) -> Result<BTreeMap<MachineName, Error>> {
    daemon_reload(host)?;
    let names: Vec<&MachineName> = plans.keys().collect();
    let states = shown(host, &names)?;
    let verified = plans.iter().filter_map(|(name, plan)| {
        let loaded = match states.get(name).filter(|state| !state.active.is_empty()) {
            Some(state) => loaded_to(host, name, plan.as_deref(), state.plan.as_deref()),
            None => Err(unexpected(name)),
        };
        Some((name.clone(), loaded.err()?))
    });
    Ok(verified.collect())
}

fn loaded_to(host: &Host, name: &MachineName, plan: Option<&str>, loaded: Option<&str>) -> Result<()> {
    if loaded == plan {
        return Ok(());
    }
    let culprits = failed_generators(host);
    let culprits = if culprits.is_empty() { String::new() } else { format!(" ({culprits})") };
    let message = match plan {
        Some(_) => {
            format!("systemd did not load the units of container '{name}' after daemon-reload{culprits}")
        }
        None => format!("systemd still has units of container '{name}' after daemon-reload{culprits}"),
    };
    Err(Failed::Program(message).into())
}

/// Returns the recent messages of PID 1 about generators.
fn failed_generators(host: &Host) -> String {
    let journal = host
        .manager("journalctl")
        // The messages come from a child of PID 1 that has exited, so only the text identifies them.
        .args(["--boot", "--quiet", "--output=cat", "--since=-2min", "--lines=500"])
        .output_if_any()
        .unwrap_or_default();
    let mut lines: Vec<&str> = journal
        .lines()
        .filter(|line| line.contains("system-generators/") || line.contains("generator-setup"))
        .collect();
    lines.dedup();
    let last = lines.len().saturating_sub(3);
    lines[last..].join(" | ")
}

/// Starts units in parallel and waits for them.
pub(crate) fn start(host: &Host, names: &[MachineName]) -> Result<()> {
    // A start limit that earlier failures have hit must not prevent this start.
    let _ =
        host.manager("systemctl").arg("reset-failed").arg("--").args(names.iter().map(unit_name)).output();
    host.manager("systemctl").arg("start").arg("--").args(names.iter().map(unit_name)).output().map(|_| ())
}

/// Stops a unit and waits until it has stopped. A connection may start it again at once.
pub(crate) fn stop_once(host: &Host, name: &MachineName) -> Result<()> {
    host.manager("systemctl").args(["stop", "--"]).arg(unit_name(name)).output().map(|_| ())
}

/// Stops a unit and waits until no process is left.
pub(crate) fn stop(host: &Host, name: &MachineName) -> Result<()> {
    stop_once(host, name)?;
    let state = state(host, name)?;
    if !state.stopped() {
        let message =
            format!("container '{name}' is still {} ({}) after it was stopped", state.active, state.sub);
        return Err(Failed::Program(message).into());
    }
    Ok(())
}

/// Stops units in parallel, whatever they are doing, and cancels jobs that would start them. Returns those that have
/// stopped.
pub(crate) fn stop_all(host: &Host, names: &[&MachineName]) -> Result<BTreeSet<MachineName>> {
    // The states tell which have not stopped.
    let units = names.iter().map(|name| unit_name(name));
    let _ = host.manager("systemctl").args(["stop", "--"]).args(units).output();
    let states = shown(host, names)?;
    Ok(states.into_iter().filter(|(_, state)| state.stopped()).map(|(name, _)| name).collect())
}

/// Resets failed states, so that the units leave no trace.
pub(crate) fn reset_failed(host: &Host, names: &[&MachineName]) {
    let units = names.iter().map(|name| unit_name(name));
    let _ = host.manager("systemctl").args(["reset-failed", "--"]).args(units).output();
}

/// Returns the version of the running systemd, 257 for `systemd 257 (257.13-1)`.
pub(crate) fn version(host: &Host) -> Result<u32> {
    let answer = host.manager("systemctl").arg("--version").output()?;
    let number =
        answer.split_whitespace().nth(1).and_then(|word| word.split(['.', '~']).next()?.parse().ok());
    number.ok_or_else(|| {
        let first = answer.lines().next().unwrap_or_default();
        Failed::Program(format!("systemctl --version: '{first}' contains no version")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_systemctl_show() {
        let names: Vec<MachineName> = ["a", "b"].map(|name| name.parse().unwrap()).into();
        let answer = "Result=success\nId=systemd-nspawn@b.service\nActiveState=active\nSubState=running\n\
                      Environment=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 NIXOS_NSPAWN_PLAN=abc\nNeedDaemonReload=no\n\
                      ActiveEnterTimestamp=@1795428000\nStateChangeTimestamp=@1795428009\nInvocationID=0a1b\n\n\
                      Id=systemd-nspawn@a.service\nActiveState=inactive\nSubState=dead\nEnvironment=\n\
                      ActiveEnterTimestamp=@1795428001\nStateChangeTimestamp=@1795428002\n";
        let states = parse_states(answer, &names.iter().collect::<Vec<_>>());
        assert_eq!(states[&names[1]].plan.as_deref(), Some("abc"));
        assert!(!states[&names[1]].stopped());
        assert_eq!(states[&names[1]].since, time::utc_of_unix("@1795428000"));
        assert_eq!(states[&names[1]].invocation, "0a1b");
        assert_eq!(states[&names[0]].since, time::utc_of_unix("@1795428002"));
        assert_eq!(states[&names[0]].plan, None);
        assert!(states[&names[0]].stopped());
    }
}

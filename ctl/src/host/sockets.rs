//! Socket units for forwarded ports, after a container's plan has changed. `systemctl daemon-reload` neither closes
//! the sockets of removed units nor opens new ones; this does. A port that cannot be opened is reported and prevents
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::socket::{PREFIX, Socket, container_of, sockets};
use nixos_nspawn_units::store::DIRECTORY;
use serde::Deserialize;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::host::systemd;

fn planned(name: &MachineName, intent: &Intent) -> Result<Vec<Socket>> {
    Ok(sockets(name, intent, &format!("{DIRECTORY}/{name}.json"))?)
}

/// Returns the containers' socket units and proxies that PID 1 knows, with their active state.
pub(crate) fn known(host: &Host) -> Result<BTreeMap<String, String>> {
    let pattern = format!("{PREFIX}*");
    let answer = host
        .manager("systemctl")
        .args(["list-units", "--all", "--no-pager", "--output=json", "--", &pattern])
        .output()?;
    parse_units(&answer).ok_or_else(|| {
        let message = format!("systemctl list-units --output=json {pattern}: unexpected answer");
        Failed::Program(message).into()
    })
}

/// Parses a JSON array of units; returns `None` if it is not one.
fn parse_units(answer: &str) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Unit {
        unit: String,
        active: String,
    }
    let units: Vec<Unit> = serde_json::from_str(answer).ok()?;
    let ours = units.into_iter().filter(|known| container_of(&known.unit).is_some());
    Some(ours.map(|known| (known.unit, known.active)).collect())
}

fn alive(state: &str) -> bool {
    !matches!(state, "inactive" | "failed")
}

/// Closes the container's sockets, so that no connection starts it any more.
pub(crate) fn close(host: &Host, name: &MachineName) -> Result<()> {
    close_of(host, |container| container == name.as_str())
}

/// Closes all sockets of several containers.
pub(crate) fn close_these(host: &Host, names: &[&MachineName]) -> Result<()> {
    let names: BTreeSet<&str> = names.iter().map(|name| name.as_str()).collect();
    close_of(host, |container| names.contains(container))
}

/// Closes the sockets of all containers.
pub(crate) fn close_all(host: &Host) -> Result<()> {
    close_of(host, |_| true)
}

fn close_of(host: &Host, chosen: impl Fn(&str) -> bool) -> Result<()> {
    let known = known(host)?;
    let own = known.into_iter().filter(|(unit, _)| container_of(unit).is_some_and(&chosen));
    let (open, closed): (Vec<_>, Vec<_>) = own.partition(|(_, state)| alive(state));
    if !open.is_empty() {
        host.manager("systemctl")
            .args(["stop", "--"])
            .args(open.iter().map(|(unit, _)| unit.as_str()))
            .output()?;
    }
    // Failed units would stay listed.
    if closed.iter().any(|(_, state)| state == "failed") {
        let names = closed.iter().map(|(unit, _)| unit.as_str());
        let _ = host.manager("systemctl").args(["reset-failed", "--"]).args(names).output();
    }
    Ok(())
}

/// Closes sockets that are no longer planned or have changed, and opens planned ones: all if the container is active,
/// otherwise those that start it. It must run after the daemon-reload. Without the `old` intent, unchanged unit names
/// stay open.
pub(crate) fn align(host: &Host, name: &MachineName, old: Option<&Intent>, new: &Intent) -> Result<()> {
    let new = planned(name, new)?;
    // A recorded intent can always be rendered.
    let old = old.map(|old| planned(name, old)).transpose()?;
    if new.is_empty() && old.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    // systemctl fails for units that are not loaded, which are closed anyway.
    let known = known(host)?;
    let units = |socket: &Socket| [socket.unit.clone(), socket.service.clone()];
    let planned: BTreeSet<String> = new.iter().flat_map(units).collect();
    let gone = known
        .keys()
        .filter(|unit| container_of(unit) == Some(name.as_str()) && !planned.contains(*unit))
        .cloned();
    let differing = old.iter().flatten().filter(|socket| !new.contains(socket)).flat_map(units);
    let active = systemd::state(host, name)?.active == "active";
    let wanted = |socket: &&Socket| socket.start_on_connect || active;
    // Sockets that used to start the container on a connection and no longer do.
    let unwanted = new.iter().filter(|socket| !wanted(socket)).flat_map(units);
    let stale: BTreeSet<String> = gone
        .chain(differing)
        .chain(unwanted)
        .filter(|unit| known.get(unit).is_some_and(|state| alive(state)))
        .collect();
    if !stale.is_empty() {
        host.manager("systemctl").args(["stop", "--"]).args(&stale).output()?;
    }
    let units: Vec<&str> = new.iter().filter(wanted).map(|socket| socket.unit.as_str()).collect();
    if !units.is_empty() {
        let _ = host.manager("systemctl").args(["reset-failed", "--"]).args(&units).output();
        if let Err(error) = host.manager("systemctl").args(["start", "--"]).args(&units).output() {
            crate::base::interrupt::check()?;
            host.report(Event::PortsNotOpened { name: name.clone(), error: format!("{error:#}") });
        }
    }
    Ok(())
}

/// Returns the ports that should be listened on and are not, as lines for people. Another program may use them.
pub(crate) fn not_open(
    name: &MachineName,
    intent: &Intent,
    known: &BTreeMap<String, String>,
    active: bool,
) -> Result<Vec<String>> {
    let line = |socket: Socket| {
        format!(
            "port {} is not open; 'systemctl start {}' opens it or shows why not",
            socket.host_side, socket.unit
        )
    };
    Ok(closed(name, intent, known, active)?.into_iter().map(line).collect())
}

/// Returns the sockets that should be listened on and are not.
pub(crate) fn closed(
    name: &MachineName,
    intent: &Intent,
    known: &BTreeMap<String, String>,
    active: bool,
) -> Result<Vec<Socket>> {
    let closed = |socket: &Socket| {
        (socket.start_on_connect || active) && !known.get(&socket.unit).is_some_and(|state| alive(state))
    };
    Ok(planned(name, intent)?.into_iter().filter(closed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_list_units() {
        let answer = r#"[
            {"unit":"nixos-nspawn-proxy@web-tcp-127.0.0.1-8080.socket","load":"loaded","active":"active",
             "sub":"listening","description":"Port tcp"},
            {"unit":"nixos-nspawn-proxy@web-tcp-__1-81.service","load":"loaded","active":"failed","sub":"failed",
             "description":"Proxy"},
            {"unit":"nixos-nspawn-proxy@mine.service","load":"loaded","active":"active","sub":"running",
             "description":"Somebody's"}]"#;
        let units = parse_units(answer).unwrap();
        assert_eq!(units.len(), 2);
        assert_eq!(units["nixos-nspawn-proxy@web-tcp-127.0.0.1-8080.socket"], "active");
        assert!(!alive(&units["nixos-nspawn-proxy@web-tcp-__1-81.service"]));
        assert_eq!(parse_units("[]").map(|units| units.len()), Some(0));
        assert_eq!(parse_units("0 loaded units listed."), None);
    }

    #[test]
    fn ports_that_are_not_open() {
        let text = format!(
            r#"{{"version":1,"toplevel":"/nix/store/{}-a","container":{{"forwardPorts":
               ["127.0.0.1:80", "82", {{"hostPort":81,"startOnConnect":true}}]}}}}"#,
            "a".repeat(32)
        );
        let name = "web".parse().unwrap();
        let intent = nixos_nspawn_units::intent::parse(text.as_bytes(), &name).unwrap();
        let missing = |known: &str, active| {
            let known = [(known.to_owned(), "active".to_owned())].into();
            not_open(&name, &intent, &known, active).unwrap()
        };
        assert_eq!(missing("", true).len(), 2);
        assert_eq!(
            missing("", false),
            [
                "port tcp/81 is not open; 'systemctl start nixos-nspawn-proxy@web-tcp-81.socket' opens it or shows why not"
            ]
        );
        assert!(missing("nixos-nspawn-proxy@web-tcp-81.socket", false).is_empty());
    }
}

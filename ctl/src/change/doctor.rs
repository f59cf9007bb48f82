//! The repairs of `doctor --fix`. Each is what another command does as well, takes the same locks, and looks again before
//! it changes anything.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::setup;
use crate::change::setup::{SetupOptions, SetupStep};
use crate::change::tidy::tidy;
use crate::decision::doctor::fix::Fix;
use crate::fact::doctor::records::{LitterSeen, profile_directories};
use crate::fact::lookup::{Found, find, imperative};
use crate::fact::overview::{Container, Overview};
use crate::host::forwards::Forwards;
use crate::host::lock::Lock;
use crate::host::networkd_conf::{at_risk, how_to_keep};
use crate::host::{gc_roots, networkd, profile_links, runtime_files, sockets, systemd};

/// Makes a repair. Returns what was done.
pub(crate) fn fix(host: &Host, fix: &Fix) -> Result<Vec<String>> {
    match fix {
        Fix::Setup => set_up(host),
        Fix::RecordHost => {
            let mut done = Vec::new();
            setup::record_host(host, false, &mut |step| {
                if let SetupStep::Record(facts) = step {
                    done.push(format!("recorded that systemd {} runs", facts.systemd));
                }
                Ok(())
            })?;
            Ok(done)
        }
        Fix::Reload => {
            let _global = Lock::global(host)?;
            systemd::daemon_reload(host)?;
            Ok(vec!["ran 'systemctl daemon-reload'".to_owned()])
        }
        Fix::Root(name) => root(host, name),
        Fix::Litter => clean_up(host),
        Fix::Masquerade => masquerade(host),
        Fix::Ports(name) => open_ports(host, name),
    }
}

/// How long systemd-networkd may take to masquerade again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Restarts systemd-networkd, unless that would delete something of other programs, and waits until it masquerades, which
/// it does when it has found the interfaces.
fn masquerade(host: &Host) -> Result<Vec<String>> {
    let at_risk = at_risk(host);
    if !at_risk.is_empty() {
        return unchanged(
            "a restart of systemd-networkd may delete rules or routes of other programs",
            format!("{} first", how_to_keep(&at_risk)),
        );
    }
    networkd::restart(host)?;
    let overview = Overview::gather(host)?;
    let end = Instant::now() + PATIENCE;
    // networkd adds its rules interface by interface.
    while !Forwards::read(host)?
        .is_some_and(|seen| seen.masquerades() && all_masqueraded(host, &seen, &overview))
    {
        if Instant::now() >= end {
            return Err(anyhow!(
                "systemd-networkd was restarted, but does not masquerade; 'networkctl status' shows more"
            ));
        }
        thread::sleep(Duration::from_millis(100));
        interrupt::check()?;
    }
    Ok(vec!["restarted systemd-networkd, which masquerades again".to_owned()])
}

fn all_masqueraded(host: &Host, seen: &Forwards, overview: &Overview) -> bool {
    let running = overview.containers.values().filter(|one| one.runs());
    let gone = |one: &Container| {
        let intent = one.intent.as_ref();
        intent.is_some_and(|intent| seen.gone(host, &one.name, intent, &one.addresses).masquerade)
    };
    !running.into_iter().any(gone)
}

/// Roots the recorded system of a container, which may have changed since it was looked at.
fn root(host: &Host, name: &MachineName) -> Result<Vec<String>> {
    let _lock = lock(host, name)?;
    let loaded = host.load();
    let toplevel = &imperative(&loaded, name)?.toplevel;
    gc_roots::keep(host, name, toplevel)?;
    Ok(vec![format!("made a root for container '{name}'")])
}

fn open_ports(host: &Host, name: &MachineName) -> Result<Vec<String>> {
    let _lock = lock(host, name)?;
    let loaded = host.load();
    let Some(Found::Good(stored)) = find(&loaded, name) else { return Ok(Vec::new()) };
    let intent = &stored.intent;
    sockets::align(host, name, Some(intent), intent)?;
    // A port that cannot be opened is no error there.
    let active = systemd::state(host, name)?.active == "active";
    let closed = sockets::closed(name, intent, &sockets::known(host)?, active)?;
    if closed.is_empty() {
        return Ok(vec![format!("started the sockets of container '{name}'")]);
    }
    let ports: Vec<&str> = closed.iter().map(|socket| socket.host_side.as_str()).collect();
    let units: Vec<&str> = closed.iter().map(|socket| socket.unit.as_str()).collect();
    Err(anyhow!(
        "ports of container '{name}' cannot be opened: {}; 'systemctl status {}' shows why",
        ports.join(", "),
        units.join(" ")
    ))
}

/// Locks a container, unless another command is changing it.
fn lock(host: &Host, name: &MachineName) -> Result<Lock> {
    match Lock::container_if_free(host, name)? {
        Some(lock) => Ok(lock),
        None => unchanged(format!("container '{name}' is being changed by another command"), "try again"),
    }
}

/// Removes what commands and containers have left behind, as every command that changes something does.
fn clean_up(host: &Host) -> Result<Vec<String>> {
    let overview = Overview::gather(host)?;
    let before = LitterSeen::look(host, &overview).ours;
    runtime_files::sweep_unfinished(host, |name| matches!(Lock::container_if_free(host, name), Ok(Some(_))));
    for directory in profile_directories(host, &overview) {
        profile_links::sweep_ahead(host, &directory);
    }
    tidy(host);
    let after = LitterSeen::look(host, &overview).ours;
    Ok(before
        .into_iter()
        .filter(|path| !after.contains(path))
        .map(|path| format!("removed {path}"))
        .collect())
}

fn set_up(host: &Host) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let options = SetupOptions { networkd: false, auto_update: None, dry_run: false };
    setup::install(host, options, &mut |step| {
        if let SetupStep::Install(places) = step {
            done.push(format!("installed {} {}", places.generator.display(), places.version));
        }
        Ok(())
    })?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{Played, ended, web};

    #[test]
    fn networkd_is_not_restarted_where_it_deletes_what_others_made() {
        let played = Played::new();
        let conf = played.host.path("/etc/systemd/networkd.conf.d/a.conf");
        fs::create_dir_all(conf.parent().unwrap()).unwrap();
        fs::write(&conf, "[Network]\nManageForeignRoutingPolicyRules=no\nManageForeignRoutes=no\n").unwrap();
        let error = fix(&played.host, &Fix::Masquerade).unwrap_err().to_string();
        assert!(error.contains("'ManageForeignNextHops=no'"), "{error}");
        assert!(!error.contains("ManageForeignRoutes") && played.calls().is_empty(), "{error}");
        // With all three it is, and a failure is told.
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{text}ManageForeignNextHops=no\n")).unwrap();
        played.on_call(|words, _| words.contains(&"restart".into()).then(|| ended(1, "", "no networkd")));
        assert!(fix(&played.host, &Fix::Masquerade).is_err());
        assert_eq!(played.calls(), ["systemctl restart systemd-networkd.service"]);
    }

    #[test]
    fn ports_that_stay_closed_are_not_called_open() {
        let played = Played::new();
        played.record();
        let text = fs::read_to_string(played.intent()).unwrap();
        let (start, _) = text.rsplit_once('}').unwrap();
        let text = format!(r#"{start},"container":{{"forwardPorts":["127.0.0.1:8080:80"]}}}}"#);
        fs::write(played.intent(), text).unwrap();
        let listed = |state: &str| {
            format!(r#"[{{"unit":"nixos-nspawn-proxy@web-tcp-127.0.0.1-8080.socket","active":"{state}"}}]"#)
        };
        for (state, opened) in [("failed", false), ("active", true)] {
            let answer = listed(state);
            played
                .on_call(move |words, _| words.contains(&"list-units".into()).then(|| ended(0, &answer, "")));
            let done = fix(&played.host, &Fix::Ports(web()));
            assert_eq!(done.is_ok(), opened, "{done:?}");
            if let Err(error) = done {
                assert!(error.to_string().contains("tcp/127.0.0.1:8080"), "{error}");
            }
        }
    }
}

//! Finds out what a container's network would do to that of the host: networkd deletes rules of other programs, and
//! IPv6 forwarding can cost an uplink its default route. Reads the running host and changes nothing.

use std::fs;
use std::io::ErrorKind;

use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Container;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::{Ipv6Forwarding, ipv6_forwarding};
use serde::Deserialize;
use systemd_unit_syntax::parse;
use systemd_unit_syntax::settings::parse_boolean;

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::host::files::{SYSTEM_FOLDERS, names_in, which};
use crate::host::networkd;
use crate::host::networkd_conf::{RULES, at_risk, how_to_keep};

/// Returns a warning if networkd would delete rules of other programs when it configures the container's interface.
pub(crate) fn foreign_rules(host: &Host, container: &Container) -> Option<String> {
    let at_risk = at_risk(host);
    if !container.has_virtual_ethernet() || !at_risk.contains(&RULES) || !networkd::runs(host) {
        return None;
    }
    let what = match rules(host) {
        Ok(0) => return None,
        Ok(count) => {
            format!(
                "systemd-networkd deletes the {count} routing policy rules of other programs on this host"
            )
        }
        Err(error) => format!(
            "systemd-networkd may delete routing policy rules of other programs on this host, which cannot be read \
             ({error:#}),"
        ),
    };
    Some(format!(
        "{what} when it configures the container's interface; to keep them, {} and run 'systemctl restart \
         systemd-networkd'",
        how_to_keep(&at_risk)
    ))
}

/// How long ip may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Counts the routing policy rules that neither the kernel nor networkd made, as far as `ip` tells. Fails if that cannot be
/// told.
pub(crate) fn rules(host: &Host) -> Result<usize> {
    let ip = which("ip", &SYSTEM_FOLDERS).unwrap_or_else(|| "ip".into());
    let of = |family: &str| host.program(&ip).args(["-j", family, "rule"]).limit(LIMIT);
    let ipv4 = foreign(&of("-4").output()?)?;
    // A kernel without IPv6 has no rules for it.
    let ipv6 = match host.path("/proc/sys/net/ipv6").exists() {
        true => foreign(&of("-6").output()?)?,
        false => 0,
    };
    Ok(ipv4 + ipv6)
}

fn foreign(answer: &str) -> Result<usize> {
    #[derive(Deserialize)]
    struct Rule {
        priority: u32,
        protocol: Option<String>,
    }
    // networkd's own rules are marked `static`; others with that mark cannot be distinguished from them.
    let known = |rule: &Rule| {
        matches!(rule.priority, 0 | 32766 | 32767)
            || matches!(rule.protocol.as_deref(), Some("kernel" | "static"))
    };
    // Without rules, some versions print nothing.
    let rules: Vec<Rule> = match answer.trim() {
        "" => Vec::new(),
        answer => serde_json::from_str(answer).context("ip rule: unexpected answer")?,
    };
    Ok(rules.iter().filter(|rule| !known(rule)).count())
}

/// Refuses IPv6 forwarding that would cost the host a default route from router advertisements: a host that forwards is
/// a router, where the kernel accepts advertisements only with accept_ra=2 (the kernel's ip-sysctl.rst), and networkd
/// only with IPv6AcceptRA=yes (`systemd.network(5)`). An interface that sends advertisements forwards as well, and the
/// kernel then drops the routes that it has from advertisements until the next one.
pub(crate) fn check_uplinks(host: &Host, name: &MachineName, container: &Container) -> Result<()> {
    let Some(forwarding) = ipv6_forwarding(name, container) else { return Ok(()) };
    if !host.live() || sysctl(host, "all/forwarding")? == "1" {
        return Ok(());
    }
    let ip = which("ip", &SYSTEM_FOLDERS).unwrap_or_else(|| "ip".into());
    let answer = host.program(&ip).args(["-j", "-6", "route", "show", "default"]).limit(LIMIT).output();
    let uplinks = answer.and_then(|answer| advertised(&answer)).with_context(|| {
        format!("container '{name}' forwards IPv6, which may cost the host its default routes, and these cannot be read")
    })?;
    for uplink in uplinks {
        let remedy = match sysctl(host, &format!("{uplink}/accept_ra"))?.as_str() {
            "1" => format!(
                "run 'sysctl -w net.ipv6.conf.{uplink}.accept_ra=2' and put that into a file in /etc/sysctl.d"
            ),
            // The kernel leaves networkd's routes alone when another interface begins to forward.
            "0" if forwarding == Ipv6Forwarding::Everywhere => match heedless_file(host, &uplink) {
                Some(file) => {
                    format!("put 'IPv6AcceptRA=yes' below [Network] of {file}, and run 'networkctl reload'")
                }
                None => continue,
            },
            _ => continue,
        };
        return unchanged(
            format!(
                "hostNetworkConfig of container '{name}' forwards IPv6, so the host would lose the default route of \
                 {uplink}, which comes from router advertisements"
            ),
            format!(
                "{remedy}; or set networkConfig.IPMasquerade = \"ipv4\" and networkConfig.IPv6SendRA = \"no\""
            ),
        );
    }
    Ok(())
}

/// Returns the interfaces of the host that ignore router advertisements because they forward (the kernel's
/// ip-sysctl.rst). networkd handles them by itself where it has turned `accept_ra` off.
pub(crate) fn deaf_uplinks(host: &Host) -> Result<Vec<String>> {
    let own = |name: &str| {
        ["all", "default", "lo"].contains(&name) || OWN.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut deaf = Vec::new();
    for name in names_in(&host.path("/proc/sys/net/ipv6/conf"))?.into_iter().filter(|name| !own(name)) {
        let is_one = |key: &str| Ok::<_, anyhow::Error>(sysctl(host, &format!("{name}/{key}"))? == "1");
        let state = fs::read_to_string(host.path("/sys/class/net").join(&name).join("operstate"));
        if state.is_ok_and(|state| state.trim() == "up") && is_one("accept_ra")? && is_one("forwarding")? {
            deaf.push(name);
        }
    }
    Ok(deaf)
}

/// The prefixes of the interfaces that lead to containers.
const OWN: [&str; 3] = ["ve-", "vb-", "vz-"];

/// Returns a setting of IPv6, or an empty string if the kernel has no IPv6 or the interface is gone.
fn sysctl(host: &Host, name: &str) -> Result<String> {
    let path = host.path("/proc/sys/net/ipv6/conf").join(name);
    match fs::read_to_string(&path) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    }
}

/// Returns the interfaces of default routes from router advertisements.
fn advertised(answer: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Route {
        dev: Option<String>,
        protocol: Option<String>,
    }
    // Without routes, some versions print nothing.
    let routes: Vec<Route> = match answer.trim() {
        "" => Vec::new(),
        answer => serde_json::from_str(answer).context("ip route: unexpected answer")?,
    };
    let advertised = routes.into_iter().filter(|route| route.protocol.as_deref() == Some("ra"));
    Ok(advertised.filter_map(|route| route.dev).collect())
}

/// Returns the .network file of an interface, if networkd manages it and accepts advertisements there only without
/// forwarding.
fn heedless_file(host: &Host, interface: &str) -> Option<String> {
    let state = networkd::link(host, interface)?;
    let value = |key: &str| networkd::link_value(&state, key);
    let file = value("NETWORK_FILE")?;
    // networkd writes drop-ins with quotes and colons, in a format of its own.
    let drop_ins = value("NETWORK_FILE_DROPINS").unwrap_or_default();
    let drop_ins = drop_ins.split(['"', ' ', ':']).filter(|path| path.starts_with('/'));
    let mut heeds = None;
    for path in [file].into_iter().chain(drop_ins) {
        let Some(parsed) = fs::read(host.path(path)).ok().and_then(|text| parse(&text).ok()) else {
            continue;
        };
        let last = parsed.file.values("Network", "IPv6AcceptRA").last().map(parse_boolean);
        heeds = last.unwrap_or(heeds);
    }
    (heeds != Some(true)).then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Played, ended, store_path, web};

    #[test]
    fn default_routes_from_advertisements() {
        let answer = r#"[{"dst":"default","gateway":"fe80::1","dev":"eth0","protocol":"ra","metric":1024},
            {"dst":"default","gateway":"fe80::2","dev":"eth1","protocol":"static","metric":1024},
            {"dst":"default","protocol":"ra","nexthops":[]}]"#;
        assert_eq!(advertised(answer).unwrap(), ["eth0"]);
        assert!(advertised("").unwrap().is_empty());
        assert!(advertised("no routes").is_err());
    }

    #[test]
    fn rules_of_others() {
        let answer = r#"[{"priority":0,"src":"all","table":"local"},
            {"priority":1000,"src":"all","table":"l3mdev","protocol":"kernel"},
            {"priority":5000,"src":"all","fwmark":"0x1","table":"100"},
            {"priority":5001,"src":"10.0.0.0","srclen":8,"table":"101","protocol":"static"},
            {"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]"#;
        assert_eq!(foreign(answer).unwrap(), 1);
        assert_eq!(foreign("").unwrap(), 0);
        assert!(foreign("0: from all lookup local").is_err());
    }

    #[test]
    fn rules_that_cannot_be_read_are_not_absent() {
        const KERNEL: &str = r#"[{"priority":0},{"priority":32766}]"#;
        const OTHER: &str = r#"[{"priority":5000,"protocol":"boot"}]"#;
        for (v4, v6, ipv6, count) in [
            ((0, KERNEL), (0, KERNEL), true, Some(0)),
            ((0, OTHER), (0, OTHER), true, Some(2)),
            ((0, OTHER), (1, ""), false, Some(1)),
            ((0, KERNEL), (1, ""), true, None),
            ((1, ""), (0, KERNEL), true, None),
            ((0, "?"), (0, KERNEL), true, None),
        ] {
            let played = Played::new();
            if ipv6 {
                fs::create_dir_all(played.host.path("/proc/sys/net/ipv6")).unwrap();
            }
            played.on_call(move |words, _| match words.get(2).map_or("", String::as_str) {
                "-4" => Some(ended(v4.0, v4.1, "")),
                "-6" => Some(ended(v6.0, v6.1, "")),
                _ => Some(ended(0, "", "")),
            });
            assert_eq!(rules(&played.host).ok(), count, "{v4:?} {v6:?}");
            let text = r#"{"version":1,"toplevel":"TOPLEVEL"}"#.replace("TOPLEVEL", &store_path("one"));
            let intent = nixos_nspawn_units::intent::parse(text.as_bytes(), &web()).unwrap();
            let said = foreign_rules(&played.host, &intent.container).unwrap_or_default();
            let part = match count {
                Some(0) => "",
                Some(_) => "systemd-networkd deletes the",
                None => "may delete routing policy rules of other programs",
            };
            assert!(said.contains(part) && said.is_empty() == part.is_empty(), "{said}");
            assert!(said.is_empty() || said.contains("'ManageForeignRoutes=no'"), "{said}");
        }
    }
}

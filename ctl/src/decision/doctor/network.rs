//! Judges networkd, forwarding, and the addresses of containers.

use crate::decision::doctor::sysctl::to_set;
use crate::decision::doctor::verdict::{Check, Level, Verdict};
use crate::decision::doctor::words::{are, containers, counted};
use crate::fact::doctor::network::{Addressed, NetworkSeen};
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::host::networkd_conf::{RULES, how_to_keep};

const NETWORKD: Check = Check::of_containers("networkd");

/// Returns that networkd could not be looked at.
pub(crate) fn unknown(unseen: &Unseen) -> Verdict {
    Verdict::unseen(NETWORKD, unseen)
}

/// Judges whether networkd runs.
pub(crate) fn networkd(seen: &NetworkSeen) -> Verdict {
    const ENABLE: &str = "nixos-nspawn setup --networkd";
    const ON_NIXOS: &str = "set systemd.network.enable = true";
    let NetworkSeen { linked, configured, runs, enabled, .. } = seen;
    match (runs, enabled) {
        _ if linked.is_empty() && !runs => {
            Verdict::ok(NETWORKD, "systemd-networkd is off, and no container needs it")
        }
        (false, _) if !configured.is_empty() => {
            let text = format!(
                "systemd-networkd is off, so hostNetworkConfig of {} has no effect",
                containers(configured)
            );
            Verdict::failure(NETWORKD, text, ENABLE).on_nixos(ON_NIXOS)
        }
        (false, _) => {
            let text = format!(
                "systemd-networkd is off, so nothing configures the network of {}",
                containers(linked)
            );
            Verdict::warning(NETWORKD, text, ENABLE).on_nixos(ON_NIXOS)
        }
        (true, false) => {
            let text =
                "systemd-networkd runs, but does not start with the host, so containers have no network then";
            Verdict::warning(NETWORKD, text, "systemctl enable systemd-networkd").on_nixos(ON_NIXOS)
        }
        (true, true) => Verdict::ok(NETWORKD, "systemd-networkd runs, and starts with the host"),
    }
}

/// Judges whether networkd deletes routing policy rules of other programs.
pub(crate) fn foreign_rules(seen: &NetworkSeen) -> Verdict {
    const CHECK: Check = Check::of_host("foreign-rules");
    if !seen.at_risk.contains(&RULES) {
        return Verdict::ok(CHECK, "systemd-networkd keeps routing policy rules of other programs");
    }
    let count = match &seen.foreign_rules {
        Ok(count) => *count,
        Err(unseen) => return Verdict::unseen(CHECK, unseen),
    };
    // The restart would delete what the other settings are about.
    let next = format!("{}, and run 'systemctl restart systemd-networkd'", how_to_keep(&seen.at_risk));
    match (count, seen.runs) {
        (0, _) => Verdict::ok(CHECK, "no other program has made routing policy rules"),
        (_, false) => Verdict::ok(
            CHECK,
            "systemd-networkd is off, and 'nixos-nspawn setup --networkd' makes it keep the rules of other programs",
        ),
        (count, true) => {
            let text = format!(
                "systemd-networkd deletes the {} of other programs whenever it configures an interface",
                counted(count, "routing policy rule")
            );
            Verdict::warning(CHECK, text, next).on_nixos(options_to_keep(&seen.at_risk))
        }
    }
}

/// Says how to make networkd leave alone what these settings are about, on NixOS.
pub(super) fn options_to_keep(settings: &[&str]) -> String {
    let option = |setting: &&str| format!("systemd.network.config.networkConfig.{setting} = false");
    format!("set {}", settings.iter().map(option).collect::<Vec<_>>().join(" and "))
}

/// Judges whether the host forwards what it must, and what that costs it.
pub(crate) fn forwarding(seen: &NetworkSeen) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("forwarding");
    let mut verdicts: Vec<Verdict> = seen
        .costs
        .iter()
        .map(|(text, next)| {
            Verdict::warning(CHECK, text, next).on_nixos(
                "set networkConfig.IPMasquerade = \"ipv4\" and networkConfig.IPv6SendRA = \"no\" in hostNetworkConfig \
                 of the container",
            )
        })
        .collect();
    verdicts.extend(seen.deaf.iter().map(|(uplink, name)| {
        let text = format!(
            "{uplink} ignores router advertisements, since the host forwards IPv6, as container '{name}' asks for"
        );
        to_set(Level::Warning, CHECK, text, &[(format!("net.ipv6.conf.{uplink}.accept_ra"), 2)])
    }));
    match &seen.forwards {
        Err(unseen) => verdicts.push(Verdict::unseen(CHECK, unseen)),
        Ok(false) if !seen.forwarded.is_empty() && seen.runs => {
            let text = format!(
                "net.ipv4.ip_forward is 0, so {} cannot reach anything beyond the host; something has reset it since",
                containers(&seen.forwarded)
            );
            let next = "sysctl -w net.ipv4.ip_forward=1, and remove what sets it to 0 from /etc/sysctl.d";
            verdicts.push(Verdict::failure(CHECK, text, next).on_nixos(
                "sysctl -w net.ipv4.ip_forward=1, and remove what sets it to 0 from boot.kernel.sysctl",
            ));
        }
        Ok(true) if verdicts.is_empty() => verdicts.push(Verdict::ok(CHECK, "the host forwards IPv4")),
        Ok(_) if verdicts.is_empty() => {
            verdicts.push(Verdict::ok(CHECK, "the host forwards nothing, and no container needs it yet"));
        }
        Ok(_) => {}
    }
    verdicts
}

/// Judges whether containers have got addresses.
pub(crate) fn addresses(seen: &Seen<Vec<Addressed>>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("addresses");
    let all = match seen {
        Ok(all) => all,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let has_address = |one: &&Addressed| {
        let usable =
            |text: &String| text.parse::<std::net::Ipv4Addr>().is_ok_and(|address| !address.is_link_local());
        one.addresses.iter().any(usable)
    };
    let without: Vec<&Addressed> = all.iter().filter(|one| !has_address(one)).collect();
    let verdict = |one: &&Addressed| {
        let Addressed { name, interface, state, .. } = one;
        let because = match state.as_deref() {
            Some("configured") => {
                "systemd-networkd serves DHCP, so a firewall may drop UDP port 67, or nothing asks for it inside"
                    .to_owned()
            }
            Some(state) => format!("for systemd-networkd, {interface} is {state}"),
            None => format!("systemd-networkd does not know {interface}"),
        };
        let text = format!("container '{name}' has got no IPv4 address from DHCP: {because}");
        Verdict::warning(CHECK, text, format!("networkctl status {interface}"))
    };
    match without.is_empty() {
        false => without.iter().map(verdict).collect(),
        true if all.is_empty() => vec![Verdict::ok(CHECK, "no running container waits for an address")],
        true => vec![Verdict::ok(
            CHECK,
            format!("{} {} got an address from DHCP", counted(all.len(), "container"), have(all.len())),
        )],
    }
}

fn have(count: usize) -> &'static str {
    if are(count) == "is" { "has" } else { "have" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::networkd_conf::ROUTES;

    fn seen() -> NetworkSeen {
        NetworkSeen {
            linked: vec!["web".parse().unwrap()],
            configured: Vec::new(),
            runs: true,
            enabled: true,
            at_risk: Vec::new(),
            foreign_rules: Ok(0),
            forwarded: Vec::new(),
            forwards: Ok(true),
            costs: Vec::new(),
            deaf: Vec::new(),
        }
    }

    fn unseen() -> Unseen {
        Unseen { why: "x".into(), needs_root: false }
    }

    #[test]
    fn networkd_is_on() {
        let web = || vec!["web".parse().unwrap()];
        for (seen, level) in [
            (seen(), Level::Ok),
            (NetworkSeen { runs: false, enabled: false, linked: Vec::new(), ..seen() }, Level::Ok),
            (NetworkSeen { runs: false, ..seen() }, Level::Warning),
            (NetworkSeen { runs: false, configured: web(), ..seen() }, Level::Failure),
            (NetworkSeen { enabled: false, ..seen() }, Level::Warning),
        ] {
            assert_eq!(networkd(&seen).level, level, "{seen:?}");
        }
    }

    #[test]
    fn rules_of_others() {
        let deletes =
            |rules, runs| NetworkSeen { at_risk: vec![RULES, ROUTES], foreign_rules: rules, runs, ..seen() };
        for (seen, level) in [
            (seen(), Level::Ok),
            (deletes(Ok(0), true), Level::Ok),
            (deletes(Ok(2), true), Level::Warning),
            (deletes(Ok(2), false), Level::Ok),
            (deletes(Err(unseen()), true), Level::Warning),
        ] {
            assert_eq!(foreign_rules(&seen).level, level, "{seen:?}");
        }
        assert_eq!(
            foreign_rules(&deletes(Ok(2), true)).nixos.as_deref(),
            Some(
                "set systemd.network.config.networkConfig.ManageForeignRoutingPolicyRules = false and \
                 systemd.network.config.networkConfig.ManageForeignRoutes = false"
            )
        );
        assert_eq!(
            foreign_rules(&deletes(Ok(2), true)).next.as_deref(),
            Some(
                "put 'ManageForeignRoutingPolicyRules=no', 'ManageForeignRoutes=no' below [Network] into a file in \
                 /etc/systemd/networkd.conf.d, and run 'systemctl restart systemd-networkd'"
            )
        );
    }

    #[test]
    fn packets_are_forwarded() {
        let web = || vec!["web".parse().unwrap()];
        let levels = |seen: &NetworkSeen| forwarding(seen).iter().map(|one| one.level).collect::<Vec<_>>();
        assert_eq!(levels(&seen()), [Level::Ok]);
        assert_eq!(levels(&NetworkSeen { forwards: Ok(false), ..seen() }), [Level::Ok]);
        let off = NetworkSeen { forwards: Ok(false), forwarded: web(), ..seen() };
        assert_eq!(levels(&off), [Level::Failure]);
        // Without networkd, nothing was forwarded before.
        assert_eq!(levels(&NetworkSeen { runs: false, ..off }), [Level::Ok]);
        let costs = vec![("eth0 loses its route".to_owned(), "do this".to_owned())];
        assert_eq!(levels(&NetworkSeen { costs, ..seen() }), [Level::Warning]);
        let deaf = vec![("eth0".to_owned(), "web".parse().unwrap())];
        let verdict = &forwarding(&NetworkSeen { deaf, ..seen() })[0];
        assert_eq!(
            verdict.next.as_deref(),
            Some("sysctl -w net.ipv6.conf.eth0.accept_ra=2, and put that into a file in /etc/sysctl.d")
        );
        assert_eq!(levels(&NetworkSeen { forwards: Err(unseen()), ..seen() }), [Level::Warning]);
    }

    #[test]
    fn containers_have_addresses() {
        let one = |addresses: &[&str], state: Option<&str>| Addressed {
            name: "web".parse().unwrap(),
            interface: "ve-web".into(),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
            state: state.map(str::to_owned),
        };
        assert_eq!(addresses(&Ok(Vec::new()))[0].level, Level::Ok);
        assert_eq!(addresses(&Ok(vec![one(&["10.0.0.2"], Some("configured"))]))[0].level, Level::Ok);
        assert_eq!(addresses(&Err(unseen()))[0].text, "not checked: x");
        for (addresses_of, state, said) in [
            (&["169.254.1.2", "fe80::1"][..], Some("configured"), "UDP port 67"),
            (&[], Some("unmanaged"), "ve-web is unmanaged"),
            (&[], None, "does not know ve-web"),
        ] {
            let verdict = &addresses(&Ok(vec![one(addresses_of, state)]))[0];
            assert!(verdict.level == Level::Warning && verdict.text.contains(said), "{}", verdict.text);
            assert_eq!(verdict.next.as_deref(), Some("networkctl status ve-web"));
        }
    }
}

//! Judges forwarded ports and masquerading.

use nixos_nspawn_units::service::unit_name;

use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::network::options_to_keep;
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{are, containers, counted};
use crate::fact::doctor::ports::{AllPorts, PortsSeen};
use crate::fact::doctor::seen::Seen;
use crate::host::forwards::NO_MASQUERADE;
use crate::host::networkd_conf::how_to_keep;

/// Judges the ports. `at_risk` are the settings without which a restart of networkd may delete something of other programs.
pub(crate) fn ports(seen: &Seen<AllPorts>, at_risk: &[&str]) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("ports");
    let seen = match seen {
        Ok(seen) => seen,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let mut verdicts = Vec::new();
    for PortsSeen { name, gone, closed, taken } in &seen.faults {
        if let Some(text) = gone.ports_text() {
            let text = format!("container '{name}': {text}");
            verdicts.push(Verdict::warning(CHECK, text, format!("systemctl restart {}", unit_name(name))));
        }
        verdicts.extend(closed.iter().map(|(port, unit)| {
            let text = format!("container '{name}': port {port} is not open");
            let verdict = Verdict::warning(CHECK, text, format!("systemctl start {unit}"));
            verdict.fixed_by(Fix::Ports(name.clone()))
        }));
        verdicts.extend(taken.iter().map(|(port, holder)| {
            let text = format!(
                "container '{name}': port {port} is also in use by {holder}; connections from outside reach only one \
                 of them"
            );
            Verdict::warning(CHECK, text, "stop that service, or change forwardPorts")
        }));
    }
    let masked: Vec<_> = seen.faults.iter().filter(|one| one.gone.masquerade).map(|one| &one.name).collect();
    if !masked.is_empty() {
        let text = format!("{} {} not masqueraded: {NO_MASQUERADE}", containers(&masked), are(masked.len()));
        const RESTART: &str = "systemctl restart systemd-networkd";
        verdicts.push(match at_risk {
            [] => Verdict::warning(CHECK, text, RESTART).fixed_by(Fix::Masquerade),
            _ => {
                let next = format!(
                    "{}, or a restart may delete rules or routes of other programs; then {RESTART}",
                    how_to_keep(at_risk)
                );
                let option = format!("{}; then {RESTART}", options_to_keep(at_risk));
                Verdict::warning(CHECK, text, next).on_nixos(option)
            }
        });
    }
    verdicts.extend(seen.rules_unseen.iter().map(|unseen| Verdict::unseen(CHECK, unseen)));
    if !seen.young.is_empty() {
        let text = format!("not checked: {} may have no address yet", containers(&seen.young));
        verdicts.push(Verdict::note(CHECK, text, "try again in a few seconds"));
    }
    if seen.nft_missing {
        verdicts.push(
            Verdict::note(CHECK, "not checked: nft: not found", "install nftables")
                .on_nixos("add pkgs.nftables to environment.systemPackages"),
        );
    }
    if verdicts.is_empty() {
        let text = match seen.count {
            0 => "no forwarded port is in use".to_owned(),
            count => format!("{} {} in place", counted(count, "forwarded port"), are(count)),
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;
    use crate::host::forwards::Gone;
    use crate::host::networkd_conf::{ROUTES, RULES};

    #[test]
    fn ports_and_masquerading() {
        let web = || "web".parse().unwrap();
        let fine = || PortsSeen { name: web(), gone: Gone::default(), closed: Vec::new(), taken: Vec::new() };
        let none: Seen<AllPorts> = Ok(AllPorts {
            faults: Vec::new(),
            count: 1,
            young: Vec::new(),
            rules_unseen: None,
            nft_missing: false,
        });
        let all = |one: PortsSeen| Ok(AllPorts { faults: vec![one], ..none.clone().unwrap() });
        assert_eq!(ports(&none, &[])[0].text, "1 forwarded port is in place");
        let stopped = Ok(AllPorts { count: 0, ..none.clone().unwrap() });
        assert_eq!(ports(&stopped, &[])[0].text, "no forwarded port is in use");
        let gone = |ports: &[&str], masquerade| Gone {
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
            masquerade,
        };
        let closed = vec![("tcp/80".to_owned(), "x.socket".to_owned())];
        let taken = vec![("tcp/80".to_owned(), "nginx (process 7)".to_owned())];
        const NONE: &[&str] = &[];
        const SOME: &[&str] = &[RULES, ROUTES];
        for (one, at_risk, fix, said, next) in [
            (
                PortsSeen { gone: gone(&["tcp/80"], false), ..fine() },
                NONE,
                None,
                "tcp/80 is not forwarded",
                "systemctl restart systemd-nspawn@web.service",
            ),
            (
                PortsSeen { gone: gone(&[], true), ..fine() },
                NONE,
                Some(Fix::Masquerade),
                "not masqueraded",
                "systemctl restart systemd-networkd",
            ),
            (
                PortsSeen { gone: gone(&[], true), ..fine() },
                SOME,
                None,
                "not masqueraded",
                "put 'ManageForeignRoutingPolicyRules=no', 'ManageForeignRoutes=no' below [Network] into a file in \
                 /etc/systemd/networkd.conf.d, or a restart may delete rules or routes of other programs; then \
                 systemctl restart systemd-networkd",
            ),
            (
                PortsSeen { closed, ..fine() },
                NONE,
                Some(Fix::Ports(web())),
                "port tcp/80 is not open",
                "systemctl start x.socket",
            ),
            (
                PortsSeen { taken, ..fine() },
                NONE,
                None,
                "nginx (process 7)",
                "stop that service, or change forwardPorts",
            ),
        ] {
            let verdicts = ports(&all(one), at_risk);
            assert_eq!((verdicts.len(), verdicts[0].level), (1, Level::Warning));
            assert!(verdicts[0].fix == fix && verdicts[0].text.contains(said), "{verdicts:?}");
            assert_eq!(verdicts[0].next.as_deref(), Some(next));
        }
        let unseen = || Unseen { why: "x".into(), needs_root: true };
        let seen = Ok(AllPorts { rules_unseen: Some(unseen()), ..none.clone().unwrap() });
        assert_eq!(ports(&seen, &[])[0].level, Level::Note);
        let seen = Ok(AllPorts { young: vec![web()], ..none.clone().unwrap() });
        assert_eq!(ports(&seen, &[])[0].text, "not checked: container 'web' may have no address yet");
        let seen = Ok(AllPorts { nft_missing: true, ..none.clone().unwrap() });
        assert_eq!(ports(&seen, &[])[0].text, "not checked: nft: not found");
        assert_eq!(ports(&Err(unseen()), &[])[0].level, Level::Note);
    }
}

//! Judges forwarded ports and masquerading.

use nixos_nspawn_units::service::unit_name;

use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::verdict::Verdict;
use crate::decision::doctor::words::{are, containers, counted};
use crate::fact::doctor::ports::{AllPorts, PortsSeen};
use crate::fact::doctor::seen::Seen;
use crate::host::forwards::NO_MASQUERADE;

/// Judges the ports. `safe` says that a restart of networkd deletes no rules of other programs.
pub(crate) fn ports(seen: &Seen<AllPorts>, safe: bool) -> Vec<Verdict> {
    const CHECK: &str = "ports";
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
        let verdict = Verdict::warning(CHECK, text, "systemctl restart systemd-networkd");
        verdicts.push(if safe { verdict.fixed_by(Fix::Masquerade) } else { verdict });
    }
    verdicts.extend(seen.rules_unseen.iter().map(|unseen| Verdict::unseen(CHECK, unseen)));
    if verdicts.is_empty() {
        let text = match seen.count {
            0 => "no container forwards a port".to_owned(),
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

    #[test]
    fn ports_and_masquerading() {
        let web = || "web".parse().unwrap();
        let fine = || PortsSeen { name: web(), gone: Gone::default(), closed: Vec::new(), taken: Vec::new() };
        let all = |one: PortsSeen| Ok(AllPorts { faults: vec![one], count: 1, rules_unseen: None });
        let none = Ok(AllPorts { faults: Vec::new(), count: 1, rules_unseen: None });
        assert_eq!(ports(&none, true)[0].text, "1 forwarded port is in place");
        let gone = |ports: &[&str], masquerade| Gone {
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
            masquerade,
        };
        let closed = vec![("tcp/80".to_owned(), "x.socket".to_owned())];
        let taken = vec![("tcp/80".to_owned(), "nginx (process 7)".to_owned())];
        for (one, safe, fix, said) in [
            (PortsSeen { gone: gone(&["tcp/80"], false), ..fine() }, true, None, "tcp/80 is not forwarded"),
            (PortsSeen { gone: gone(&[], true), ..fine() }, true, Some(Fix::Masquerade), "not masqueraded"),
            (PortsSeen { gone: gone(&[], true), ..fine() }, false, None, "not masqueraded"),
            (PortsSeen { closed, ..fine() }, true, Some(Fix::Ports(web())), "port tcp/80 is not open"),
            (PortsSeen { taken, ..fine() }, true, None, "nginx (process 7)"),
        ] {
            let verdicts = ports(&all(one), safe);
            assert_eq!((verdicts.len(), verdicts[0].level), (1, Level::Warning));
            assert!(verdicts[0].fix == fix && verdicts[0].text.contains(said), "{verdicts:?}");
        }
        let unseen = || Unseen { why: "x".into(), needs_root: true };
        let seen = Ok(AllPorts { faults: Vec::new(), count: 0, rules_unseen: Some(unseen()) });
        assert_eq!(ports(&seen, true)[0].level, Level::Note);
        assert_eq!(ports(&Err(unseen()), true)[0].level, Level::Note);
    }
}

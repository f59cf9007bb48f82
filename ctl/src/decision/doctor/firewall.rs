//! Judges whether the firewall lets packets of containers through.

use crate::decision::doctor::packet::{Packet, Passage, passage};
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::listed;
use crate::fact::doctor::firewall::FirewallSeen;
use crate::fact::doctor::seen::Seen;
use crate::host::nft_ruleset::Chain;

const CHECK: Check = Check::of_containers("firewall");

/// Judges the firewall.
pub(crate) fn firewall(seen: &Seen<FirewallSeen>) -> Vec<Verdict> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let FirewallSeen { served, masqueraded, ports, .. } = seen;
    if served.is_empty() && masqueraded.is_empty() && ports.is_empty() {
        return vec![Verdict::ok(CHECK, "no container has a network for which it matters")];
    }
    let Some(chains) = &seen.chains else {
        return vec![
            Verdict::note(CHECK, "not checked: nft: not found", "install nftables")
                .on_nixos("add pkgs.nftables to environment.systemPackages"),
        ];
    };
    let outside = seen.outside.as_deref();
    let packet = |from, to, protocol, port| Packet { from, to, protocol, port, translated: false };
    let asked = served.iter().map(|name| (name.as_str(), packet(name, None, "udp", Some(67))));
    let out = masqueraded.iter().map(|name| (name.as_str(), packet(name, outside, "tcp", None)));
    let forwarded = ports.iter().filter_map(|(protocol, port, name)| {
        let packet = packet(outside?, Some(name.as_str()), protocol, Some(*port));
        Some((name.as_str(), Packet { translated: true, ..packet }))
    });
    let mut verdicts = judged(chains, "input", asked, &DHCP);
    verdicts.extend(judged(chains, "forward", out, &OUT));
    verdicts.extend(judged(chains, "forward", forwarded, &PORTS));
    if verdicts.is_empty() {
        verdicts.push(Verdict::ok(CHECK, "no rule of nftables stops packets of containers"));
    }
    verdicts
}

/// Packets that containers need.
struct Needed {
    /// What they are.
    what: &'static str,
    /// The rules that let them through, in the order in which they are to be inserted.
    rules: &'static [&'static str],
    /// The option of NixOS that does.
    nixos: &'static str,
}

const DHCP: Needed = Needed {
    what: "requests for addresses (DHCP) from",
    rules: &["iifname { \"ve-*\", \"vz-*\" } udp dport 67 accept"],
    nixos: "set nixos.containers.openFirewall = true",
};

const OUT: Needed = Needed {
    what: "what goes to the outside from",
    rules: &["ct state established,related accept", "iifname { \"ve-*\", \"vz-*\" } accept"],
    nixos: "add 'iifname { \"ve-*\", \"vz-*\" } accept' to networking.firewall.extraForwardRules, or to the rules of your \
            own that drop it",
};

const PORTS: Needed = Needed {
    what: "connections to forwarded ports of",
    rules: &["ct state established,related accept", "ct status dnat accept"],
    nixos: "add 'ct status dnat accept' to networking.firewall.extraForwardRules, or to the rules of your own that drop \
            them",
};

/// Judges packets that enter the chains of a hook; each chain is told once, with the interfaces that it concerns.
fn judged<'a>(
    chains: &[Chain],
    hook: &str,
    packets: impl Iterator<Item = (&'a str, Packet<'a>)>,
    needed: &Needed,
) -> Vec<Verdict> {
    let mut found: Vec<(&Chain, Passage, Vec<&str>)> = Vec::new();
    for (name, packet) in packets {
        let entered = chains.iter().filter(|chain| chain.hook.as_deref() == Some(hook));
        let entered = entered.filter(|chain| ["ip", "inet"].contains(&chain.family.as_str()));
        let all: Vec<(&Chain, Passage)> =
            entered.map(|chain| (chain, passage(chains, chain, &packet))).collect();
        // Where one chain is closed, what others may do is of no interest.
        let worst = all.iter().map(|(_, passage)| *passage).max().unwrap_or(Passage::Open);
        let told = all.into_iter().filter(|(_, passage)| *passage == worst && worst != Passage::Open);
        for (chain, passage) in told {
            match found.iter_mut().find(|(known, of, _)| *known == chain && *of == passage) {
                Some((_, _, names)) if names.contains(&name) => {}
                Some((_, _, names)) => names.push(name),
                None => found.push((chain, passage, vec![name])),
            }
        }
    }
    found.iter().map(|(chain, passage, names)| verdict(chain, *passage, names, needed)).collect()
}

fn verdict(chain: &Chain, passage: Passage, names: &[&str], needed: &Needed) -> Verdict {
    let Chain { family, table, name, .. } = chain;
    let whole = format!("chain {name} of table {family} {table}");
    let Needed { what, rules, nixos } = needed;
    if passage == Passage::Unknown {
        let text = format!(
            "{whole} may drop {what} {}: it has rules of which this program cannot tell whether they apply",
            listed(names)
        );
        return Verdict::note(CHECK, text, format!("nft list chain {family} {table} {name}"));
    }
    let text = format!("{whole} drops {what} {}", listed(names));
    let insert: Vec<String> =
        rules.iter().map(|rule| format!("nft 'insert rule {family} {table} {name} {rule}'")).collect();
    let next = format!("{}, and the same in the configuration of the firewall", insert.join(" && "));
    Verdict::warning(CHECK, text, next).on_nixos(*nixos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;
    use crate::host::nft_ruleset::{Condition, Match, Outcome, Rule};

    fn is(key: &str, value: &str) -> Condition {
        Condition::Is { key: key.into(), values: vec![Match::Text(value.into())], not: false }
    }

    fn rule(condition: Condition) -> Rule {
        Rule { conditions: vec![condition], outcome: Outcome::Accept }
    }

    fn chain(hook: &str, rules: &[Rule]) -> Chain {
        Chain {
            family: "inet".into(),
            table: "f".into(),
            name: "c".into(),
            hook: Some(hook.into()),
            drops: true,
            rules: rules.to_vec(),
        }
    }

    fn seen(chains: &[Chain]) -> FirewallSeen {
        FirewallSeen {
            chains: Some(chains.to_vec()),
            served: vec!["ve-web".into(), "vz-lan".into()],
            masqueraded: vec!["ve-web".into()],
            outside: Some("eth0".into()),
            ports: vec![("tcp".into(), 80, "ve-web".into()), ("tcp".into(), 443, "ve-web".into())],
        }
    }

    fn texts(seen: FirewallSeen) -> Vec<String> {
        let verdicts = firewall(&Ok(seen)).into_iter().filter(|one| one.level == Level::Warning);
        verdicts.map(|one| one.text).collect()
    }

    #[test]
    fn requests_for_addresses() {
        let verdict = &firewall(&Ok(seen(&[chain("input", &[])])))[0];
        assert_eq!(
            verdict.text,
            "chain c of table inet f drops requests for addresses (DHCP) from ve-web and vz-lan"
        );
        // A rule behind one that drops would have no effect.
        assert_eq!(
            verdict.next.as_deref(),
            Some(
                "nft 'insert rule inet f c iifname { \"ve-*\", \"vz-*\" } udp dport 67 accept', and the same in the \
                 configuration of the firewall"
            )
        );
        let zone = rule(is("iifname", "vz-*"));
        assert_eq!(
            texts(seen(&[chain("input", &[zone])])),
            ["chain c of table inet f drops requests for addresses (DHCP) from ve-web"]
        );
        // Nobody serves addresses there.
        assert!(texts(FirewallSeen { served: Vec::new(), ..seen(&[chain("input", &[])]) }).is_empty());
    }

    #[test]
    fn packets_to_and_from_the_outside() {
        let forward = |rules: &[Rule]| seen(&[chain("forward", rules)]);
        let told = [
            "chain c of table inet f drops what goes to the outside from ve-web",
            "chain c of table inet f drops connections to forwarded ports of ve-web",
        ];
        assert_eq!(texts(forward(&[])), told);
        let out = rule(is("iifname", "ve-*"));
        let dnat = rule(is("ct status", "dnat"));
        assert_eq!(texts(forward(std::slice::from_ref(&out))), told[1..]);
        assert!(texts(forward(&[out, dnat])).is_empty());
        // What is not masqueraded goes nowhere, whatever the firewall does.
        assert_eq!(texts(FirewallSeen { masqueraded: Vec::new(), ..forward(&[]) }), told[1..]);
        // Without a default route, nobody comes from the outside.
        assert_eq!(texts(FirewallSeen { outside: None, ..forward(&[]) }), told[..1]);
        // The rules end up in this order, each before the others.
        let verdict = &firewall(&Ok(forward(&[])))[1];
        assert_eq!(
            verdict.next.as_deref(),
            Some(
                "nft 'insert rule inet f c ct state established,related accept' && nft 'insert rule inet f c ct status dnat \
                 accept', and the same in the configuration of the firewall"
            )
        );
    }

    #[test]
    fn what_cannot_be_told_is_not_well() {
        let verdicts = firewall(&Ok(seen(&[chain("forward", &[rule(Condition::Unknown)])])));
        assert_eq!(verdicts.len(), 2);
        for verdict in verdicts {
            assert_eq!(verdict.level, Level::Note);
            assert!(verdict.text.contains("may drop"), "{}", verdict.text);
            assert_eq!(verdict.next.as_deref(), Some("nft list chain inet f c"));
        }
        let none = FirewallSeen { chains: None, ..seen(&[]) };
        assert_eq!(firewall(&Ok(none.clone()))[0].text, "not checked: nft: not found");
        let idle = FirewallSeen { served: Vec::new(), masqueraded: Vec::new(), ports: Vec::new(), ..none };
        assert_eq!(firewall(&Ok(idle))[0].level, Level::Ok);
        let unseen = Unseen { why: "x".into(), needs_root: true };
        assert_eq!(firewall(&Err(unseen))[0].level, Level::Note);
    }
}

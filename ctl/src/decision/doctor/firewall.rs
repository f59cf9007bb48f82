//! Judges whether the firewall lets packets of containers through, by following a packet through its chains. Only what is
//! certain is said: a condition that cannot be told may hold or not.

use crate::decision::doctor::verdict::Verdict;
use crate::decision::doctor::words::listed;
use crate::fact::doctor::firewall::FirewallSeen;
use crate::fact::doctor::seen::Seen;
use crate::host::nft_ruleset::{Chain, Condition, Match, Outcome, Rule};

/// Judges the firewall.
pub(crate) fn firewall(seen: &Seen<FirewallSeen>) -> Vec<Verdict> {
    const CHECK: &str = "firewall";
    let FirewallSeen { chains, interfaces, outside, ports } = match seen {
        Ok(seen) => seen,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let Some(chains) = chains else {
        return vec![Verdict::note(CHECK, "not checked: nft: not found", "install nftables")];
    };
    let dropped = |hook: &str, packet: &Packet| {
        let entered = chains.iter().filter(|chain| chain.hook.as_deref() == Some(hook));
        let entered = entered.filter(|chain| ["ip", "inet"].contains(&chain.family.as_str()));
        entered.into_iter().find(|chain| follow(chains, chain, packet, 0) == Fate::Dropped)
    };
    let by = |chain: &Chain| format!("chain {} of table {} {}", chain.name, chain.family, chain.table);
    let mut verdicts = Vec::new();
    let mut say = |found: Vec<(&String, &Chain)>, what: &str, next: &str| {
        let Some((_, chain)) = found.first() else { return };
        let names: Vec<&String> = found.iter().map(|(interface, _)| *interface).collect();
        let text = format!("{} drops {what} {}", by(chain), listed(&names));
        verdicts.push(Verdict::warning(CHECK, text, next));
    };
    let asked: Vec<(&String, &Chain)> = interfaces
        .iter()
        .filter_map(|name| Some((name, dropped("input", &Packet::new(name, "", "udp", 67))?)))
        .collect();
    say(
        asked,
        "requests for addresses (DHCP) from",
        "nft add rule there: iifname { \"ve-*\", \"vz-*\" } udp dport 67 accept",
    );
    let out: Vec<(&String, &Chain)> = interfaces
        .iter()
        .filter_map(|name| Some((name, dropped("forward", &Packet::new(name, outside, "tcp", 443))?)))
        .collect();
    say(
        out,
        "what goes to the outside from",
        "nft add rules there: iifname { \"ve-*\", \"vz-*\" } accept, and ct state established,related accept",
    );
    let forwarded: Vec<(&String, &Chain)> = ports
        .iter()
        .filter_map(|(protocol, port, name)| {
            let mut packet = Packet::new(outside, name, protocol, *port);
            packet.status = "dnat";
            Some((name, dropped("forward", &packet)?))
        })
        .collect();
    say(forwarded, "connections to forwarded ports of", "nft add rule there: ct status dnat accept");
    if verdicts.is_empty() {
        let text = match interfaces.len() {
            0 => "no container has a network for which it matters".to_owned(),
            count => format!(
                "no rule of nftables stops packets of {}",
                if count == 1 { "the container" } else { "the containers" }
            ),
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

/// A packet that begins a connection.
struct Packet<'a> {
    from: &'a str,
    to: &'a str,
    protocol: &'a str,
    port: u64,
    status: &'a str,
}

impl<'a> Packet<'a> {
    fn new(from: &'a str, to: &'a str, protocol: &'a str, port: u64) -> Self {
        Self { from, to, protocol, port, status: "" }
    }

    /// Returns whether a condition holds; `None` if that cannot be told.
    fn meets(&self, condition: &Condition) -> Option<bool> {
        let Condition::Is { key, values, not } = condition else { return None };
        let (name, field) = key.split_once(' ').unwrap_or((key.as_str(), ""));
        let text = |text: &str| Some(values.iter().any(|value| is(value, text)));
        let holds = match (name, field) {
            ("iifname" | "iif", _) => text(self.from),
            ("oifname" | "oif", _) => text(self.to),
            ("l4proto", _) | ("ip", "protocol") => text(self.protocol),
            ("nfproto", _) => text("ipv4"),
            ("protocol", _) => text("ip"),
            // What is known of another protocol does not apply to it.
            ("tcp" | "udp" | "sctp" | "dccp" | "icmp" | "icmpv6", _) if name != self.protocol => {
                return Some(false);
            }
            ("ip6", _) => return Some(false),
            ("tcp" | "udp" | "th", "dport") => Some(values.iter().any(
                |value| matches!(value, Match::Range(low, high) if (*low..=*high).contains(&self.port)),
            )),
            ("ct", "state") => text("new"),
            ("ct", "status") => text(self.status),
            _ => None,
        };
        holds.map(|holds| holds != *not)
    }
}

fn is(value: &Match, text: &str) -> bool {
    match value {
        Match::Text(pattern) => match pattern.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == pattern,
        },
        Match::Range(..) => false,
    }
}

/// What becomes of a packet in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted,
    Dropped,
    /// It reaches the end.
    Through,
    /// It may be accepted.
    Unknown,
}

/// How deep chains may call each other, as in the kernel.
const DEEPEST: u8 = 16;

/// Follows a packet through a chain and those that it calls.
fn follow(chains: &[Chain], chain: &Chain, packet: &Packet, depth: u8) -> Fate {
    let called = |name: &String| {
        let same = |other: &&Chain| {
            (&other.family, &other.table, &other.name) == (&chain.family, &chain.table, name)
        };
        match chains.iter().find(same) {
            Some(other) if depth < DEEPEST => follow(chains, other, packet, depth + 1),
            _ => Fate::Unknown,
        }
    };
    let end = match (&chain.hook, chain.drops) {
        (Some(_), true) => Fate::Dropped,
        _ => Fate::Through,
    };
    for Rule { conditions, outcome } in &chain.rules {
        let met: Vec<Option<bool>> = conditions.iter().map(|condition| packet.meets(condition)).collect();
        if met.contains(&Some(false)) || *outcome == Outcome::Continue {
            continue;
        }
        let certain = !met.contains(&None);
        let fate = match outcome {
            Outcome::Continue => Fate::Through,
            Outcome::Accept => Fate::Accepted,
            Outcome::Drop => Fate::Dropped,
            Outcome::Jump(name) => called(name),
            Outcome::Goto(name) => match called(name) {
                Fate::Through => end,
                fate => fate,
            },
            Outcome::Return => end,
            Outcome::Unknown => Fate::Unknown,
        };
        let goes_on = fate == Fate::Through && matches!(outcome, Outcome::Jump(_));
        if goes_on || fate == Fate::Dropped && !certain {
            continue;
        }
        return if certain { fate } else { Fate::Unknown };
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    fn is(key: &str, values: &[&str]) -> Condition {
        let values = values.iter().map(|text| match text.parse() {
            Ok(number) => Match::Range(number, number),
            Err(_) => Match::Text((*text).into()),
        });
        Condition::Is { key: key.into(), values: values.collect(), not: false }
    }

    fn rule(conditions: &[Condition], outcome: Outcome) -> Rule {
        Rule { conditions: conditions.to_vec(), outcome }
    }

    fn chain(name: &str, hook: Option<&str>, drops: bool, rules: &[Rule]) -> Chain {
        Chain {
            family: "inet".into(),
            table: "filter".into(),
            name: name.into(),
            hook: hook.map(str::to_owned),
            drops,
            rules: rules.to_vec(),
        }
    }

    fn said(chains: &[Chain]) -> Vec<String> {
        let seen = FirewallSeen {
            chains: Some(chains.to_vec()),
            interfaces: vec!["ve-web".into()],
            outside: "eth0".into(),
            ports: vec![("tcp".into(), 80, "ve-web".into())],
        };
        let verdicts = firewall(&Ok(seen));
        verdicts.into_iter().filter(|one| one.level == Level::Warning).map(|one| one.text).collect()
    }

    #[test]
    fn requests_for_addresses() {
        let input = |rules: &[Rule]| vec![chain("in", Some("input"), true, rules)];
        let told = ["chain in of table inet filter drops requests for addresses (DHCP) from ve-web"];
        let established = rule(&[is("ct state", &["established", "related"])], Outcome::Accept);
        assert_eq!(said(&input(&[])), told);
        assert_eq!(said(&input(std::slice::from_ref(&established))), told);
        for passes in [
            rule(&[is("iifname", &["ve-*", "vz-*"]), is("udp dport", &["67"])], Outcome::Accept),
            rule(&[is("iifname", &["ve-web"])], Outcome::Accept),
            rule(&[is("l4proto", &["udp"])], Outcome::Accept),
            // What cannot be told may accept it.
            rule(&[Condition::Unknown], Outcome::Accept),
            rule(&[], Outcome::Jump("nowhere".into())),
        ] {
            assert!(said(&input(&[established.clone(), passes.clone()])).is_empty(), "{passes:?}");
        }
        for other in [
            rule(&[is("iifname", &["lo"])], Outcome::Accept),
            rule(&[is("tcp dport", &["67"])], Outcome::Accept),
            rule(&[Condition::Unknown, is("udp dport", &["53"])], Outcome::Accept),
            rule(&[Condition::Unknown], Outcome::Drop),
        ] {
            assert_eq!(said(&input(std::slice::from_ref(&other))), told, "{other:?}");
        }
        let rejects = chain("in", Some("input"), false, &[rule(&[], Outcome::Drop)]);
        assert_eq!(said(&[rejects]), told);
        assert!(said(&[chain("in", Some("input"), false, &[])]).is_empty());
    }

    #[test]
    fn chains_call_chains() {
        let calls = |rules: &[Rule]| {
            vec![
                chain("in", Some("input"), true, &[rule(&[], Outcome::Jump("more".into()))]),
                chain("more", None, false, rules),
            ]
        };
        assert_eq!(said(&calls(&[])).len(), 1);
        assert!(said(&calls(&[rule(&[is("udp dport", &["67"])], Outcome::Accept)])).is_empty());
        assert_eq!(said(&calls(&[rule(&[], Outcome::Return)])).len(), 1);
        // One that calls itself.
        assert!(said(&calls(&[rule(&[], Outcome::Jump("more".into()))])).is_empty());
    }

    #[test]
    fn packets_to_and_from_the_outside() {
        let forward = |rules: &[Rule]| vec![chain("fwd", Some("forward"), true, rules)];
        assert_eq!(
            said(&forward(&[])),
            [
                "chain fwd of table inet filter drops what goes to the outside from ve-web",
                "chain fwd of table inet filter drops connections to forwarded ports of ve-web"
            ]
        );
        let out = rule(&[is("iifname", &["ve-*"])], Outcome::Accept);
        let dnat = rule(&[is("ct status", &["dnat"])], Outcome::Accept);
        assert_eq!(said(&forward(std::slice::from_ref(&out))).len(), 1);
        assert!(said(&forward(&[out, dnat])).is_empty());
        let seen = FirewallSeen {
            chains: None,
            interfaces: vec!["ve-web".into()],
            outside: "eth0".into(),
            ports: Vec::new(),
        };
        assert_eq!(firewall(&Ok(seen))[0].level, Level::Note);
        let unseen = Unseen { why: "x".into(), needs_root: true };
        assert_eq!(firewall(&Err(unseen))[0].level, Level::Note);
    }
}

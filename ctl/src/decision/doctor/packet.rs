//! Follows a packet through chains of nftables. A condition that cannot be told may hold or not, so a packet may have
//! several fates.

use crate::host::nft_ruleset::{Chain, Condition, Match, Outcome, Rule};

/// A packet that begins a connection over IPv4.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// The interface that it comes from.
    pub(super) from: &'a str,
    /// The interface that it goes to; `None` if that is not known.
    pub(super) to: Option<&'a str>,
    /// Its protocol, such as `tcp`.
    pub(super) protocol: &'a str,
    /// The port that it goes to; `None` for any.
    pub(super) port: Option<u64>,
    /// Whether its destination has been translated.
    pub(super) translated: bool,
}

impl Packet<'_> {
    /// Returns whether a condition holds; `None` if that cannot be told.
    fn meets(&self, condition: &Condition) -> Option<bool> {
        let Condition::Is { key, values, not } = condition else { return None };
        let (name, field) = key.split_once(' ').unwrap_or((key.as_str(), ""));
        let holds = match (name, field) {
            ("iifname" | "iif", _) => named(values, self.from),
            ("oifname" | "oif", _) => named(values, self.to?),
            ("l4proto", _) | ("ip", "protocol") => self.is_protocol(values),
            ("nfproto", _) => named(values, "ipv4"),
            ("protocol", _) => named(values, "ip"),
            // What is known of another protocol does not apply to it.
            ("tcp" | "udp" | "sctp" | "dccp" | "icmp" | "icmpv6", _) if name != self.protocol => {
                return Some(false);
            }
            ("ip6", _) => return Some(false),
            ("tcp" | "udp" | "th", "dport") => {
                let port = self.port?;
                // The name of a service is not resolved.
                let text = values.iter().any(|value| matches!(value, Match::Text(_)));
                if in_ranges(values, port) { Some(true) } else { (!text).then_some(false) }
            }
            ("ct", "state") => named(values, "new"),
            ("ct", "status") if self.translated => named(values, "dnat"),
            ("ct", "status") => Some(false),
            _ => None,
        };
        holds.map(|holds| holds != *not)
    }

    /// Returns whether its protocol is among the values; some versions of nft print numbers (RFC 5237).
    fn is_protocol(&self, values: &[Match]) -> Option<bool> {
        let number = match self.protocol {
            "tcp" => 6,
            "udp" => 17,
            _ => return named(values, self.protocol),
        };
        Some(in_ranges(values, number) || values.iter().any(|value| is(value, self.protocol)))
    }
}

/// Returns whether a name is among the values; `None` if it may be, under a number.
fn named(values: &[Match], name: &str) -> Option<bool> {
    let number = values.iter().any(|value| matches!(value, Match::Range(..)));
    if values.iter().any(|value| is(value, name)) { Some(true) } else { (!number).then_some(false) }
}

fn in_ranges(values: &[Match], number: u64) -> bool {
    values.iter().any(|value| matches!(value, Match::Range(low, high) if (*low..=*high).contains(&number)))
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

/// What may become of a packet in a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fates {
    accepted: bool,
    dropped: bool,
    /// It reaches the end.
    through: bool,
}

const ACCEPTED: Fates = Fates { accepted: true, dropped: false, through: false };
const DROPPED: Fates = Fates { accepted: false, dropped: true, through: false };
const THROUGH: Fates = Fates { accepted: false, dropped: false, through: true };
const ANY: Fates = Fates { accepted: true, dropped: true, through: true };

impl Fates {
    fn add(&mut self, other: Self) {
        self.accepted |= other.accepted;
        self.dropped |= other.dropped;
        self.through |= other.through;
    }
}

/// Whether a chain lets a packet through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Passage {
    /// It does.
    Open,
    /// That cannot be told.
    Unknown,
    /// It does not.
    Closed,
}

/// Returns whether a chain that the kernel enters lets a packet through.
pub(super) fn passage(chains: &[Chain], chain: &Chain, packet: &Packet) -> Passage {
    match follow(chains, chain, packet, 0) {
        Fates { dropped: false, .. } => Passage::Open,
        Fates { accepted: false, through: false, .. } => Passage::Closed,
        _ => Passage::Unknown,
    }
}

/// How deep chains may call each other, as in the kernel.
const DEEPEST: u8 = 16;

/// Follows a packet through a chain and those that it calls.
fn follow(chains: &[Chain], chain: &Chain, packet: &Packet, depth: u8) -> Fates {
    let called = |name: &String| {
        let same = |other: &&Chain| {
            (&other.family, &other.table, &other.name) == (&chain.family, &chain.table, name)
        };
        match chains.iter().find(same) {
            Some(other) if depth < DEEPEST => follow(chains, other, packet, depth + 1),
            _ => ANY,
        }
    };
    let end = if chain.hook.is_some() && chain.drops { DROPPED } else { THROUGH };
    let mut fates = Fates::default();
    for Rule { conditions, outcome } in &chain.rules {
        let met: Vec<Option<bool>> = conditions.iter().map(|condition| packet.meets(condition)).collect();
        if met.contains(&Some(false)) {
            continue;
        }
        // What may happen, and whether the next rule may follow.
        let (here, next) = match outcome {
            Outcome::Continue => continue,
            Outcome::Accept => (ACCEPTED, false),
            Outcome::Drop => (DROPPED, false),
            Outcome::Jump(name) => {
                let fates = called(name);
                (Fates { through: false, ..fates }, fates.through)
            }
            Outcome::Goto(name) => {
                let mut fates = called(name);
                if fates.through {
                    fates.through = false;
                    fates.add(end);
                }
                (fates, false)
            }
            Outcome::Return => (end, false),
            Outcome::Unknown => (Fates { through: false, ..ANY }, true),
        };
        fates.add(here);
        if !next && !met.contains(&None) {
            return fates;
        }
    }
    fates.add(end);
    fates
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const DHCP: Packet =
        Packet { from: "ve-web", to: None, protocol: "udp", port: Some(67), translated: false };

    fn through(chains: &[Chain]) -> Passage {
        passage(chains, &chains[0], &DHCP)
    }

    #[test]
    fn rules_and_the_policy() {
        let input = |rules: &[Rule]| through(&[chain("in", Some("input"), true, rules)]);
        let established = rule(&[is("ct state", &["established", "related"])], Outcome::Accept);
        assert_eq!(input(&[]), Passage::Closed);
        for (second, expected) in [
            (
                rule(&[is("iifname", &["ve-*", "vz-*"]), is("udp dport", &["67"])], Outcome::Accept),
                Passage::Open,
            ),
            (rule(&[is("iifname", &["ve-web"])], Outcome::Accept), Passage::Open),
            (rule(&[is("l4proto", &["udp"])], Outcome::Accept), Passage::Open),
            (rule(&[is("l4proto", &["17"])], Outcome::Accept), Passage::Open),
            (rule(&[is("ip protocol", &["17"])], Outcome::Accept), Passage::Open),
            (rule(&[is("l4proto", &["6"])], Outcome::Accept), Passage::Closed),
            (rule(&[is("iifname", &["lo"])], Outcome::Accept), Passage::Closed),
            (rule(&[is("tcp dport", &["67"])], Outcome::Accept), Passage::Closed),
            (rule(&[is("ct status", &["dnat"])], Outcome::Accept), Passage::Closed),
            (rule(&[Condition::Unknown, is("udp dport", &["53"])], Outcome::Accept), Passage::Closed),
            (rule(&[Condition::Unknown], Outcome::Drop), Passage::Closed),
            (rule(&[Condition::Unknown], Outcome::Accept), Passage::Unknown),
            // The name of a service, the number of an interface, and an interface that is not known.
            (rule(&[is("udp dport", &["bootps"])], Outcome::Accept), Passage::Unknown),
            (rule(&[is("iif", &["7"])], Outcome::Accept), Passage::Unknown),
            (rule(&[is("oifname", &["eth0"])], Outcome::Accept), Passage::Unknown),
            (rule(&[], Outcome::Unknown), Passage::Unknown),
            (rule(&[], Outcome::Jump("nowhere".into())), Passage::Unknown),
        ] {
            assert_eq!(input(&[established.clone(), second.clone()]), expected, "{second:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_matters_only_if_something_is_dropped() {
        let accepting = |rules: &[Rule]| through(&[chain("in", Some("input"), false, rules)]);
        assert_eq!(accepting(&[rule(&[], Outcome::Drop)]), Passage::Closed);
        assert_eq!(accepting(&[rule(&[Condition::Unknown], Outcome::Drop)]), Passage::Unknown);
        let accepts = rule(&[Condition::Unknown], Outcome::Accept);
        assert_eq!(accepting(std::slice::from_ref(&accepts)), Passage::Open);
        assert_eq!(accepting(&[accepts, rule(&[], Outcome::Drop)]), Passage::Unknown);
        assert_eq!(accepting(&[rule(&[Condition::Unknown], Outcome::Continue)]), Passage::Open);
    }

    #[test]
    fn chains_call_chains() {
        let calls = |outcome: Outcome, rules: &[Rule]| {
            through(&[
                chain("in", Some("input"), true, &[rule(&[], outcome)]),
                chain("more", None, false, rules),
            ])
        };
        let accepts = || rule(&[is("udp dport", &["67"])], Outcome::Accept);
        for how in [Outcome::Jump("more".into()), Outcome::Goto("more".into())] {
            assert_eq!(calls(how.clone(), &[]), Passage::Closed);
            assert_eq!(calls(how.clone(), &[accepts()]), Passage::Open);
            assert_eq!(calls(how.clone(), &[rule(&[], Outcome::Return), accepts()]), Passage::Closed);
            let perhaps = rule(&[Condition::Unknown], Outcome::Return);
            assert_eq!(calls(how.clone(), &[perhaps, accepts()]), Passage::Unknown);
        }
        // One that calls itself.
        let own = Outcome::Jump("more".into());
        assert_eq!(calls(own.clone(), &[rule(&[], own)]), Passage::Unknown);
    }
}

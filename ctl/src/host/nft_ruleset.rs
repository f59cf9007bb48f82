//! The host's rules in nftables (`libnftables-json(5)`), as far as they decide about packets of containers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::base::host::Host;
use crate::host::files::{SYSTEM_FOLDERS, which};

/// How long nft may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The family of its table, `inet` for IPv4 and IPv6.
    pub(crate) family: String,
    /// Its table.
    pub(crate) table: String,
    /// Its name.
    pub(crate) name: String,
    /// Where the kernel enters it; `None` if only rules do.
    pub(crate) hook: Option<String>,
    /// Whether a packet that reaches its end is dropped.
    pub(crate) drops: bool,
    /// Its rules in order.
    pub(crate) rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// All of them must hold.
    pub(crate) conditions: Vec<Condition>,
    /// What happens then.
    pub(crate) outcome: Outcome,
}

/// A condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// A key has one of these values, or none of them.
    Is {
        /// The key, such as `iifname` or `udp dport`.
        key: String,
        /// The values.
        values: Vec<Match>,
        /// Whether it must have none of them.
        not: bool,
    },
    /// Something that cannot be told.
    Unknown,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    /// A text; a `*` at its end stands for anything.
    Text(String),
    /// A range of numbers.
    Range(u64, u64),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing, so the next rule follows.
    Continue,
    /// The chain accepts the packet.
    Accept,
    /// The packet is lost.
    Drop,
    /// Another chain follows, and then the next rule.
    Jump(String),
    /// Another chain follows in place of this one.
    Goto(String),
    /// The rest of this chain is left out.
    Return,
    /// It depends on the packet in a way that cannot be told.
    Unknown,
}

/// Returns all chains; `None` without nft.
pub(crate) fn chains(host: &Host) -> Result<Option<Vec<Chain>>> {
    let Some(nft) = which("nft", &SYSTEM_FOLDERS) else { return Ok(None) };
    let answer = host.program(nft).args(["-j", "list", "ruleset"]).limit(LIMIT).output()?;
    parse(&answer).map(Some)
}

/// Parses the answer of nft.
pub(crate) fn parse(answer: &str) -> Result<Vec<Chain>> {
    let answer: Value = serde_json::from_str(answer).context("nft list ruleset: unexpected answer")?;
    let mut chains: Vec<Chain> = Vec::new();
    for entry in answer["nftables"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(chain) = entry.get("chain") {
            chains.push(Chain {
                family: text(&chain["family"]),
                table: text(&chain["table"]),
                name: text(&chain["name"]),
                // A chain of another type does not filter.
                hook: (chain["type"] == "filter").then(|| text(&chain["hook"])),
                drops: chain["policy"] == "drop",
                rules: Vec::new(),
            });
        } else if let Some(rule) = entry.get("rule") {
            let of = |chain: &&mut Chain| {
                rule["family"] == *chain.family
                    && rule["table"] == *chain.table
                    && rule["chain"] == *chain.name
            };
            if let Some(chain) = chains.iter_mut().find(of) {
                chain.rules.push(parse_rule(&rule["expr"]));
            }
        }
    }
    Ok(chains)
}

fn parse_rule(expressions: &Value) -> Rule {
    let mut rule = Rule { conditions: Vec::new(), outcome: Outcome::Continue };
    for expression in expressions.as_array().into_iter().flatten() {
        let Some((word, value)) = expression.as_object().and_then(|object| object.iter().next()) else {
            rule.conditions.push(Condition::Unknown);
            continue;
        };
        let target = || value["target"].as_str().unwrap_or_default().to_owned();
        match word.as_str() {
            "match" => rule.conditions.push(condition(value)),
            // These change nothing about the packet's way.
            "counter" | "log" | "comment" | "meta" | "mangle" | "set" | "last" | "notrack" => {}
            "accept" => rule.outcome = Outcome::Accept,
            "drop" | "reject" => rule.outcome = Outcome::Drop,
            "jump" => rule.outcome = Outcome::Jump(target()),
            "goto" => rule.outcome = Outcome::Goto(target()),
            "return" => rule.outcome = Outcome::Return,
            "vmap" => rule.outcome = by_state(value),
            // The rest of the rule applies up to a limit.
            "limit" | "quota" | "ct count" => rule.conditions.push(Condition::Unknown),
            // A condition that iptables has no other form for.
            "xt" if value["type"] == "match" => rule.conditions.push(Condition::Unknown),
            _ => {
                rule.conditions.push(Condition::Unknown);
                rule.outcome = Outcome::Unknown;
            }
        }
    }
    rule
}

/// Returns what a map of verdicts says about a new connection.
fn by_state(map: &Value) -> Outcome {
    if map["key"]["ct"]["key"] != "state" {
        return Outcome::Unknown;
    }
    let pairs = map["data"]["set"].as_array().into_iter().flatten();
    let new = pairs.filter(|pair| pair[0] == "new").map(|pair| &pair[1]).next();
    match new.and_then(Value::as_object).and_then(|object| object.keys().next()).map(String::as_str) {
        None => Outcome::Continue,
        Some("accept") => Outcome::Accept,
        Some("drop") => Outcome::Drop,
        Some(_) => Outcome::Unknown,
    }
}

fn condition(value: &Value) -> Condition {
    let left = &value["left"];
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let key = word(&left["meta"]["key"]).or_else(|| {
        let payload = &left["payload"];
        Some(format!("{} {}", word(&payload["protocol"])?, word(&payload["field"])?))
    });
    let key = key.or_else(|| word(&left["ct"]["key"]).map(|key| format!("ct {key}")));
    let (Some(key), Some(op)) = (key, value["op"].as_str()) else { return Condition::Unknown };
    let right = &value["right"];
    let values = match right.get("set").or(right.as_array().map(|_| right)).and_then(Value::as_array) {
        Some(set) => set.iter().map(matched).collect(),
        None => matched(right).map(|value| vec![value]),
    };
    match (values, op) {
        (Some(values), "==" | "in") => Condition::Is { key, values, not: false },
        (Some(values), "!=") => Condition::Is { key, values, not: true },
        _ => Condition::Unknown,
    }
}

fn matched(value: &Value) -> Option<Match> {
    if let Some(number) = value.as_u64() {
        return Some(Match::Range(number, number));
    }
    if let Some(range) = value["range"].as_array() {
        return Some(Match::Range(range.first()?.as_u64()?, range.get(1)?.as_u64()?));
    }
    // A named set is not resolved.
    let text = value.as_str().filter(|text| !text.starts_with('@'))?;
    Some(Match::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_nft() {
        let answer = r#"{"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "f", "handle": 1}},
            {"chain": {"family": "inet", "table": "f", "name": "in", "handle": 1, "type": "filter", "hook": "input",
             "prio": 0, "policy": "drop"}},
            {"chain": {"family": "inet", "table": "f", "name": "more", "handle": 2}},
            {"rule": {"family": "inet", "table": "f", "chain": "in", "handle": 3, "expr": [
              {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"set": ["ve-*", "lo"]}}},
              {"match": {"op": "!=", "left": {"payload": {"protocol": "udp", "field": "dport"}},
               "right": {"range": [67, 68]}}},
              {"counter": {"packets": 0, "bytes": 0}}, {"jump": {"target": "more"}}]}},
            {"rule": {"family": "inet", "table": "f", "chain": "more", "handle": 4, "expr": [
              {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": null}]]}}}]}},
            {"rule": {"family": "inet", "table": "f", "chain": "more", "handle": 5, "expr": [
              {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},
              {"limit": {"rate": 1}}, {"accept": null}]}},
            {"rule": {"family": "inet", "table": "f", "chain": "more", "handle": 6, "expr": [
              {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@open"}},
              {"xt": null}, {"reject": {"type": "icmpx"}}]}},
            {"rule": {"family": "inet", "table": "f", "chain": "more", "handle": 7, "expr": [
              {"xt": {"type": "match", "name": "addrtype"}}, {"limit": {"rate": 1}}, {"counter": null}]}},
            {"rule": {"family": "inet", "table": "f", "chain": "more", "handle": 8, "expr": [
              {"xt": {"type": "target", "name": "REJECT"}}]}}]}"#;
        let chains = parse(answer).unwrap();
        assert_eq!((chains.len(), chains[0].hook.as_deref(), chains[0].drops), (2, Some("input"), true));
        assert_eq!((chains[1].hook.clone(), chains[1].drops), (None, false));
        let text = |text: &str| Match::Text(text.into());
        let is = |key: &str, values, not| Condition::Is { key: key.into(), values, not };
        let rule = &chains[0].rules[0];
        assert_eq!(rule.outcome, Outcome::Jump("more".into()));
        assert_eq!(
            rule.conditions,
            [
                is("iifname", vec![text("ve-*"), text("lo")], false),
                is("udp dport", vec![Match::Range(67, 68)], true)
            ]
        );
        let more = &chains[1].rules;
        assert_eq!(more[0].outcome, Outcome::Continue);
        assert_eq!(more[1].conditions[0], is("ct state", vec![text("established"), text("related")], false));
        assert_eq!(more[1].conditions[1], Condition::Unknown);
        assert_eq!(
            (&more[2].conditions[..], &more[2].outcome),
            (&[Condition::Unknown, Condition::Unknown][..], &Outcome::Drop)
        );
        assert_eq!((more[3].conditions.len(), &more[3].outcome), (2, &Outcome::Continue));
        assert_eq!(more[4].outcome, Outcome::Unknown);
        assert!(parse("").is_err());
    }
}

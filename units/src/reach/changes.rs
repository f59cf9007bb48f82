//! The difference between two reaches, in the four ways that matter to people.

use std::collections::HashMap;
use std::hash::Hasher;

use serde::Serialize;
use siphasher::sip::SipHasher24;

use super::index::Index;
use super::item::{Item, Kind, Subject, TMPFS};
use crate::intent::{Amount, amounts};

/// What a container's reach gains and loses; each line names the option.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changes {
    /// What it can do now and could not do before.
    #[serde(rename = "can_now")]
    pub gained: Vec<String>,
    /// What it could do before and cannot do now.
    #[serde(rename = "can_no_longer")]
    pub lost: Vec<String>,
    /// What it was prevented from before and is not now.
    pub no_longer_restricted: Vec<String>,
    /// The limits that are raised.
    pub may_take_more: Vec<String>,
}

impl Changes {
    /// Returns whether something is added that needs consent.
    pub fn adds(&self) -> bool {
        !(self.gained.is_empty() && self.no_longer_restricted.is_empty() && self.may_take_more.is_empty())
    }

    /// Returns whether reach is taken away and none added.
    pub fn only_takes_away(&self) -> bool {
        !self.adds() && !self.lost.is_empty()
    }

    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        !self.adds() && self.lost.is_empty()
    }

    /// Returns the lines for people, those that need consent first.
    pub fn lines(&self) -> Vec<String> {
        let lost = self.lost.iter().map(|text| format!("can no longer: {text}"));
        self.added().into_iter().chain(lost).collect()
    }

    /// Returns the lines of what needs consent.
    pub fn added(&self) -> Vec<String> {
        let parts = [
            ("can now", &self.gained),
            ("no longer restricted", &self.no_longer_restricted),
            ("may take more of the host", &self.may_take_more),
        ];
        let lines =
            parts.iter().flat_map(|(head, list)| list.iter().map(move |text| format!("{head}: {text}")));
        lines.collect()
    }

    /// Returns a short name for exactly what needs consent, if anything does. An author who does not know the key
    /// cannot make two additions with the same name.
    pub fn token(&self, key: &[u8; 16]) -> Option<String> {
        let mut added = self.added();
        added.sort();
        let mut hasher = SipHasher24::new_with_key(key);
        for line in &added {
            // No line contains a NUL.
            hasher.write(line.as_bytes());
            hasher.write(b"\0");
        }
        self.adds().then(|| format!("{:016x}", hasher.finish()))
    }
}

/// Returns what changes between two lists of items.
pub(super) fn compare(old: &[Item], new: &[Item]) -> Changes {
    let mut changes = Changes::default();
    let (before, after) = (Index::of(old), Index::of(new));
    for (kind, of, than) in [(Kind::Capability, new, &before), (Kind::Restriction, old, &after)] {
        let more = of.iter().filter(|item| item.kind == kind && !than.includes(item));
        match kind {
            Kind::Capability => changes.gained.extend(more.map(|item| item.text.clone())),
            _ => changes.no_longer_restricted.extend(
                more.filter(|item| !restricts_nothing(item, &after)).map(|item| format!("may {}", item.text)),
            ),
        }
    }
    for (kind, of, than) in [(Kind::Capability, old, &after), (Kind::Restriction, new, &before)] {
        let less = of.iter().filter(|item| item.kind == kind && !than.includes(item));
        changes
            .lost
            .extend(less.filter(|item| !restricts_nothing(item, &before)).map(|item| item.text.clone()));
    }
    settings(old, new, &mut changes);
    limits(old, new, &mut changes);
    changes
}

/// Returns whether the item restricts access to files that the other items do not give at all.
fn restricts_nothing(item: &Item, items: &Index) -> bool {
    matches!(&item.subject, Subject::Covered { source, .. } if !items.binds(source))
}

/// Compares settings of unknown effect: each may give something when it is added, removed or changed.
fn settings(old: &[Item], new: &[Item], changes: &mut Changes) {
    let (before, after) = (by_name(old), by_name(new));
    for (name, item) in &after.in_order {
        match before.of.get(name) {
            Some(before) if before.subject == item.subject => {}
            Some(before) => changes.gained.push(format!("have {}, was {}", item.text, before.text)),
            None => changes.gained.push(format!("have {}", item.text)),
        }
    }
    for (name, item) in &before.in_order {
        if !after.of.contains_key(name) {
            changes.no_longer_restricted.push(format!("{} is not set any more", item.text));
        }
    }
}

/// Settings by option and key; of several with the same key, the first is compared.
struct Settings<'a> {
    in_order: Vec<((&'static str, &'a str), &'a Item)>,
    of: HashMap<(&'static str, &'a str), &'a Item>,
}

fn by_name(items: &[Item]) -> Settings<'_> {
    let named = items.iter().filter_map(|item| match &item.subject {
        Subject::Setting { option, key, values: _ } if item.kind == Kind::Setting => {
            Some(((*option, key.as_str()), item))
        }
        _ => None,
    });
    let in_order: Vec<_> = named.collect();
    let mut of = HashMap::new();
    for (name, item) in &in_order {
        of.entry(*name).or_insert(*item);
    }
    Settings { in_order, of }
}

/// What a limit allows: its amounts, its value and its words.
type Limit<'a> = (Vec<Amount>, Option<&'a str>, Option<&'a str>);

fn limits(old: &[Item], new: &[Item], changes: &mut Changes) {
    let (befores, afters) = (amounts_by_name(old), amounts_by_name(new));
    let names = |items: &'_ [Item]| -> Vec<String> {
        let name = |item: &Item| match &item.subject {
            Subject::Amount { setting, .. } => Some(setting.clone()),
            _ => None,
        };
        items.iter().filter_map(name).collect()
    };
    let mut all = names(old);
    all.extend(names(new).into_iter().filter(|name| !befores.contains_key(name.as_str())));
    for name in all {
        let (before, after) = (limit(&befores, &name), limit(&afters, &name));
        if before.0 == after.0 && (before.1 == after.1 || !before.0.contains(&Amount::Unknown)) {
            continue;
        }
        let words = |limit: &Limit| limit.2.map_or_else(|| format!("{name} by default"), str::to_owned);
        let less = before.0.len() == after.0.len()
            && after.0.iter().zip(&before.0).all(|(after, before)| after.within(*before));
        if less {
            changes.lost.push(format!("take {}, but {}", words(&before), words(&after)));
        } else {
            changes.may_take_more.push(format!("{}, was {}", words(&after), words(&before)));
        }
    }
}

/// Returns the limits by their names; of several with the same name, the first counts.
fn amounts_by_name(items: &[Item]) -> HashMap<&str, Limit<'_>> {
    let mut found = HashMap::new();
    for item in items {
        if let Subject::Amount { setting, amounts, value } = &item.subject {
            let limit = || (amounts.clone(), value.as_deref(), Some(item.text.as_str()));
            found.entry(setting.as_str()).or_insert_with(limit);
        }
    }
    found
}

/// Returns a limit by its name; the default where it is not set.
fn limit<'a>(limits: &HashMap<&str, Limit<'a>>, name: &str) -> Limit<'a> {
    limits.get(name).cloned().unwrap_or_else(|| (amounts_by_default(name), None, None))
}

/// Returns the default of a limit: a temporary file system that does not exist takes no memory.
fn amounts_by_default(name: &str) -> Vec<Amount> {
    if name.starts_with(TMPFS) { vec![Amount::Plain(0)] } else { amounts(name, None) }
}

//! Finds the items that include others. An author may write tens of thousands of them, so each is looked up.

use std::collections::{HashMap, HashSet};

use super::item::{Address, Item, Kind, Subject};

/// Items by what they can include.
pub(super) struct Index<'a> {
    equal: HashSet<(Kind, &'a Subject)>,
    near: HashMap<(Kind, Place<'a>), Vec<&'a Subject>>,
    /// Those that include subjects of any place; there are few.
    wide: Vec<(Kind, &'a Subject)>,
    sources: HashSet<&'a str>,
}

/// What a subject and those that it includes have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Place<'a> {
    Source(&'a str),
    Device(&'a str),
    Port(&'a str, u16, Option<Address>),
}

impl<'a> Index<'a> {
    /// Returns the index of these items.
    pub(super) fn of(items: &'a [Item]) -> Self {
        let mut index =
            Self { equal: HashSet::new(), near: HashMap::new(), wide: Vec::new(), sources: HashSet::new() };
        for Item { kind, subject, text: _ } in items {
            if !index.equal.insert((*kind, subject)) {
                continue;
            }
            if let Subject::Bind { source, .. } = subject {
                index.sources.insert(source);
            }
            match (place(subject), subject) {
                (Some(place), _) => index.near.entry((*kind, place)).or_default().push(subject),
                (None, Subject::HostNetwork | Subject::Capability(_)) => index.wide.push((*kind, subject)),
                (None, _) => {}
            }
        }
        // Other capabilities include themselves only.
        let all = |subject: &Subject| !matches!(subject, Subject::Capability(one) if one != "all");
        index.wide.retain(|(_, subject)| all(subject));
        index
    }

    /// Returns whether one of the items includes this one.
    pub(super) fn includes(&self, item: &Item) -> bool {
        let Item { kind, subject, text: _ } = item;
        let near = |place| self.near.get(&(*kind, place)).into_iter().flatten().copied();
        // A port of one address is also included in that of all addresses.
        let any = match subject {
            Subject::Port { protocol, port, address: _, start: _ } => {
                Some(Place::Port(protocol, *port, None))
            }
            _ => None,
        };
        let wide = self.wide.iter().filter(|(of, _)| of == kind).map(|(_, subject)| *subject);
        let mut others = place(subject).into_iter().chain(any).flat_map(near).chain(wide);
        self.equal.contains(&(*kind, subject)) || others.any(|other| other.includes(subject))
    }

    /// Returns whether a bind mount has this source.
    pub(super) fn binds(&self, source: &str) -> bool {
        self.sources.contains(source)
    }
}

fn place(subject: &Subject) -> Option<Place<'_>> {
    match subject {
        Subject::Bind { source, write: _, below: _, owners: _ } => Some(Place::Source(source)),
        Subject::Device { path, permissions: _ } => Some(Place::Device(path)),
        Subject::Port { protocol, port, address, start: _ } => {
            let one = Some(*address).filter(|address| matches!(address, Address::One(_)));
            Some(Place::Port(protocol, *port, one))
        }
        Subject::Value(..)
        | Subject::HostNetwork
        | Subject::Network(..)
        | Subject::Capability(_)
        | Subject::Covered { .. }
        | Subject::Amount { .. }
        | Subject::Setting { .. } => None,
    }
}

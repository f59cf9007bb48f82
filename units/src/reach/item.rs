//! One item of a container's reach. Two items are compared by their subject, never by their words.

use std::collections::HashSet;

use crate::intent::Amount;

/// Something that a container can do on its host, or is prevented from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) subject: Subject,
    /// What the container can do, or is prevented from, or the assignment of a limit or setting; with the option.
    pub(crate) text: String,
}

/// What an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The container can do it.
    Capability,
    /// The container is prevented from it.
    Restriction,
    /// The container may use this much of the host.
    Resource,
    /// A setting of unknown effect: each change counts as a gain, and so does its removal.
    Setting,
}

/// What an item is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// The option and its value.
    Value(&'static str, Vec<String>),
    /// Files of the host.
    Bind { source: String, write: bool, below: bool, owners: Owners },
    /// A device, and the letters of the permitted access.
    Device { path: String, permissions: String },
    /// A port of the host.
    Port { protocol: String, port: u16, address: Address, start: bool },
    /// The host's network.
    HostNetwork,
    /// A network that the host's network includes.
    Network(&'static str, String),
    /// A capability of `capabilities(7)`, or `all`.
    Capability(String),
    /// Files of the host that another mount covers, and the bind mount through which they would be seen.
    Covered { source: String, path: String },
    /// A limit by its setting.
    Amount { setting: String, amounts: Vec<Amount>, value: Option<String> },
    /// A setting of unknown effect.
    Setting { option: &'static str, key: String, values: Vec<String> },
}

/// The prefix of the limits of temporary file systems.
pub(super) const TMPFS: &str = "tmpfs ";

/// The addresses of the host at which a port is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// All of them.
    Any,
    /// All of one family.
    Family { v4: bool },
    /// This one.
    One(std::net::IpAddr),
}

/// How the owners of bound files are mapped for the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owners {
    /// As the host's root, without a user namespace. The item of the user namespace reports when this begins.
    HostRoot,
    /// As nobody.
    Nobody,
    /// As each of them.
    Each,
    /// As the owner of the source.
    Source,
    /// As the owner of the destination.
    Destination,
}

impl Subject {
    /// Returns whether this includes all of the other: as a capability it gives at least as much, as a restriction it
    /// is at least as strict.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Bind { source, write, below, owners },
                Self::Bind { source: other, write: writes, below: belows, owners: of },
            ) => source == other && write >= writes && below >= belows && owners.include(*of),
            (Self::Device { path, permissions }, Self::Device { path: other, permissions: wanted }) => {
                path == other && wanted.chars().all(|letter| permissions.contains(letter))
            }
            (
                Self::Port { protocol, port, address, start },
                Self::Port { protocol: other, port: number, address: at, start: starts },
            ) => protocol == other && port == number && address.includes(*at) && start >= starts,
            (Self::HostNetwork, Self::Network(..) | Self::Port { start: false, .. }) => true,
            (Self::Capability(all), Self::Capability(_)) if all == "all" => true,
            (one, other) => one == other,
        }
    }
}

impl Address {
    fn includes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Family { v4 }, Self::One(address)) => address.is_ipv4() == v4,
            (one, other) => one == other,
        }
    }
}

impl Owners {
    fn include(self, other: Self) -> bool {
        self == other || self == Self::HostRoot || matches!(other, Self::Nobody | Self::HostRoot)
    }
}

impl Item {
    /// Returns whether it is something that the container can do.
    pub(crate) fn gives(&self) -> bool {
        self.kind == Kind::Capability
    }

    /// Returns the line for people.
    pub(crate) fn line(&self) -> String {
        let word = match self.kind {
            Kind::Capability => "can",
            Kind::Restriction => "cannot",
            Kind::Resource => "is limited to",
            Kind::Setting => "has",
        };
        format!("{word} {}", self.text)
    }
}

/// Collects items.
#[derive(Debug, Default)]
pub(super) struct Items {
    list: Vec<Item>,
    present: HashSet<Item>,
}

impl Items {
    /// Adds what the container can do.
    pub(super) fn can(&mut self, subject: Subject, text: impl Into<String>) {
        self.push(Kind::Capability, subject, text);
    }

    /// Adds what the container is prevented from.
    pub(super) fn cannot(&mut self, subject: Subject, text: impl Into<String>) {
        self.push(Kind::Restriction, subject, text);
    }

    /// Adds an item, unless it exists already.
    pub(super) fn push(&mut self, kind: Kind, subject: Subject, text: impl Into<String>) {
        let item = Item { kind, subject, text: text.into() };
        if self.present.insert(item.clone()) {
            self.list.push(item);
        }
    }

    /// Returns them in the order of their kinds.
    pub(super) fn sorted(mut self) -> Vec<Item> {
        self.list.sort_by_key(|item| match item.kind {
            Kind::Capability => 0,
            Kind::Restriction => 1,
            Kind::Resource => 2,
            Kind::Setting => 3,
        });
        self.list
    }
}

/// Returns the subject of an option with one value.
pub(super) fn value(option: &'static str, value: impl Into<String>) -> Subject {
    Subject::Value(option, vec![value.into()])
}

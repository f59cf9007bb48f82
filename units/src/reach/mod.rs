//! The reach of a container: what it can use of its host, and what prevents it from using more. Two reaches can be
//! compared. Building a profile means trusting its author; the reach says how far. The table for people is
//! docs/reach.md.

mod changes;
mod container;
mod free;
mod item;
mod mounts;
mod network;

use crate::intent::Container;

pub use changes::Changes;
use changes::compare;
use item::Item;

/// How far a container reaches into its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    items: Vec<Item>,
    in_user_namespace: bool,
}

/// A statement about every container without a user namespace, whatever its options.
pub const HOST_ROOT: &str = "its root is the host's root (userNamespacing is off): it can undo read-only bind mounts, \
                             inaccessible paths and other mounts, except those of the host's Nix, which are locked";

impl Reach {
    /// Returns the reach of these options.
    pub fn of(container: &Container) -> Self {
        Self { items: container::items(container), in_user_namespace: container.in_user_namespace() }
    }

    /// Returns one line for each item, in a stable order: what the container can do, what it cannot, and its limits.
    pub fn lines(&self) -> Vec<String> {
        let root = Some(HOST_ROOT.to_owned()).filter(|_| !self.in_user_namespace);
        root.into_iter().chain(self.items.iter().map(Item::line)).collect()
    }

    /// Returns what changes from this reach to the other.
    pub fn changes_to(&self, new: &Self) -> Changes {
        compare(&self.items, &new.items)
    }
}

/// Returns what the second options change of the reach of the first.
pub fn changes(old: &Container, new: &Container) -> Changes {
    Reach::of(old).changes_to(&Reach::of(new))
}

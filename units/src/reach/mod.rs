//! The reach of a container: what it can use of its host, and what prevents it from using more. Two reaches can be
//! compared. Building a profile means trusting its author; the reach says how far. The table for people is
//! docs/reach.md.

mod changes;
mod container;
mod free;
mod index;
mod item;
mod mounts;
mod network;

use crate::intent::Container;

pub use changes::Changes;
use changes::compare;
pub(crate) use item::{Item, Owners, Subject};

/// How far a container reaches into its host.
///
/// ```
/// use nixos_nspawn_units::intent::parse;
/// use nixos_nspawn_units::reach::Reach;
///
/// let reach = |container: &str| -> Result<Reach, Box<dyn std::error::Error>> {
///     let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
///     let intent = format!(r#"{{"version": 1, "toplevel": "{toplevel}", "container": {container}}}"#);
///     Ok(Reach::of(&parse(intent.as_bytes(), &"web".parse()?)?.container))
/// };
/// let changes = reach("{}")?.changes_to(&reach(r#"{"bindMounts": ["/srv/web:/srv/web"]}"#)?);
/// assert!(changes.adds());
/// assert_eq!(changes.gained.len(), 1);
/// assert!(changes.gained[0].contains("/srv/web"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    items: Vec<Item>,
    in_user_namespace: bool,
}

/// A statement about every container without a user namespace, whatever its options.
pub const HOST_ROOT: &str = "its root is the host's root (userNamespacing is off): it can undo inaccessible paths and \
                             other mounts, except read-only bind mounts and those of the host's Nix, which are locked";

impl Reach {
    /// Returns the reach of these options.
    pub fn of(container: &Container) -> Self {
        Self { items: container::items(container), in_user_namespace: container.in_user_namespace() }
    }

    /// Returns the items, in a stable order.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
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

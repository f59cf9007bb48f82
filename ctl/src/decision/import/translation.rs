//! The result of a translation.

use nixos_nspawn_units::intent::Overrides;
use serde_json::{Value, json};

/// What was translated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Translation {
    /// Options over those of the build, which later updates keep.
    pub(crate) layer: Overrides,
    /// Whether the container starts with the host, if that is said.
    pub(crate) autostart: Option<bool>,
    /// What has no counterpart, with the reason.
    pub(crate) missing: Vec<String>,
}

impl Translation {
    /// Sets an option.
    pub(super) fn set(&mut self, option: &str, value: impl Into<Value>) {
        self.layer.set.insert(option.to_owned(), value.into());
    }

    /// Adds an item to a list.
    pub(super) fn push(&mut self, option: &str, item: impl Into<Value>) {
        let list = self.layer.set.entry(option.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(items) = list {
            let item = item.into();
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }

    /// Returns whether an option is set.
    pub(super) fn has(&self, option: &str) -> bool {
        self.layer.set.contains_key(option)
    }

    /// Lists something without a counterpart.
    pub(super) fn miss(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }
}

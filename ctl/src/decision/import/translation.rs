//! The result of a translation.

use nixos_nspawn_units::intent::Overrides;
use serde_json::{Map, Value, json};

/// What was translated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Translation {
    /// Options over those of the build, which later updates keep.
    pub(super) options: Map<String, Value>,
    /// Whether the container starts with the host, if that is said.
    pub(crate) autostart: Option<bool>,
    /// What has no counterpart, with the reason.
    pub(crate) missing: Vec<String>,
}

impl Translation {
    /// Returns the options as they are recorded.
    pub(crate) fn layer(&self) -> Overrides {
        Overrides { set: self.options.clone().into(), ..Overrides::default() }
    }

    /// Sets an option.
    pub(super) fn set(&mut self, option: &str, value: impl Into<Value>) {
        self.options.insert(option.to_owned(), value.into());
    }

    /// Adds an item to a list.
    pub(super) fn push(&mut self, option: &str, item: impl Into<Value>) {
        let list = self.options.entry(option.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(items) = list {
            let item = item.into();
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }

    /// Returns whether an option is set.
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// Lists something without a counterpart.
    pub(super) fn miss(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }
}

//! What is audited: each matter is one row of every audit.

use super::facts::Facts;

/// Something that a container may be able to do, with the function that finds out.
pub(super) struct Matter {
    pub(super) id: &'static str,
    pub(super) settings: &'static [&'static str],
    pub(super) weight: u32,
    /// What a container can do where it is open, be it a little.
    pub(super) open: &'static str,
    /// What holds where it is closed.
    pub(super) closed: &'static str,
    pub(super) remedy: Option<&'static str>,
    pub(super) find: fn(&Facts) -> Finding,
}

/// How far it is open.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// In percent.
    pub(super) exposure: u32,
    /// The least score, in tenths.
    pub(super) at_least: u32,
    pub(super) details: Vec<String>,
}

impl Finding {
    /// Returns one without details.
    pub(super) fn new(exposure: u32) -> Self {
        Self { exposure, ..Self::default() }
    }

    /// Returns one that is open as far as the worst of these, which come first among the details.
    pub(super) fn worst(mut found: Vec<Self>) -> Self {
        found.sort_by_key(|one| std::cmp::Reverse((one.at_least, one.exposure)));
        let (exposure, at_least) = found.first().map_or((0, 0), |one| (one.exposure, one.at_least));
        let exposure = found.iter().map(|one| one.exposure).fold(exposure, u32::max);
        Self { exposure, at_least, details: found.into_iter().flat_map(|one| one.details).collect() }
    }
}

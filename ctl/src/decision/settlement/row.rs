//! The rows of the tables.

/// Where a command was killed, what is true then, and what the next command does.
#[cfg_attr(not(test), expect(dead_code, reason = "its texts are for docs/decisions/interrupted.md"))]
pub(crate) struct Row<Seen: 'static, Settled: 'static> {
    /// Where it was killed, or the host lost power.
    pub(crate) killed: &'static str,
    /// What is true then.
    pub(crate) state: &'static str,
    /// What the next command does.
    pub(crate) next: &'static str,
    /// How that is seen and settled.
    pub(crate) cases: &'static [Case<Seen, Settled>],
}

/// How a row is recognized, and what settles it.
pub(crate) struct Case<Seen: 'static, Settled: 'static> {
    /// Whether what is observed is this case.
    pub(crate) when: fn(&Seen) -> bool,
    /// What settles it.
    pub(crate) settled: Settled,
}

/// Returns what settles what is observed. If several cases apply, as for a create and an import, they agree, and tests
/// show that one always applies.
pub(crate) fn look_up<Seen, Settled: Copy>(rows: &[Row<Seen, Settled>], seen: &Seen) -> Option<Settled> {
    rows.iter().flat_map(|row| row.cases).find(|case| (case.when)(seen)).map(|case| case.settled)
}

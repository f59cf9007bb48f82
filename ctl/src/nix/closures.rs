//! Differences of systems in packages.

use nixos_nspawn_units::value::StorePath;

use crate::nix::tool::Nix;

impl Nix<'_> {
    /// Returns the package differences of two store paths, as text; `None` if they are unknown.
    pub(crate) fn diff_closures(&self, old: &StorePath, new: &StorePath) -> Option<String> {
        let program = self.call("store").arg("diff-closures").args([old.as_str(), new.as_str()]);
        Some(without_colour(&program.output_if_any()?))
    }
}

/// Removes escape sequences: older versions of Nix colour sizes even if the output is not a terminal.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_removed() {
        let text = "glibc: 2.40 → 2.41, \u{1b}[31;1m+12.3 KiB\u{1b}[0m\nfirefox: ∅ → 140\n";
        assert_eq!(without_colour(text), "glibc: 2.40 → 2.41, +12.3 KiB\nfirefox: ∅ → 140\n");
    }
}

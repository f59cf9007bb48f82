//! Judges installed completion scripts.

use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{listed, quoted};
use crate::fact::doctor::completions::InstalledScript;

/// What makes the versions equal on NixOS.
pub(super) const SAME: &str =
    "use one version of nixos-nspawn in the host's configuration, then nixos-rebuild switch";

/// Judges the scripts.
pub(crate) fn completions(found: &[InstalledScript]) -> Vec<Verdict> {
    const CHECK: Check = Check::of_host("completions");
    let verdict = |InstalledScript { shell, path, same }: &InstalledScript| match same {
        Ok(true) => None,
        Ok(false) => {
            let text = format!("{path}: is of another version, so completion may not work");
            let next = format!("nixos-nspawn completions {shell} > {}", quoted(path));
            Some(Verdict::note(CHECK, text, next).on_nixos(SAME))
        }
        Err(unseen) => Some(Verdict::unseen(CHECK, unseen)),
    };
    let verdicts: Vec<Verdict> = found.iter().filter_map(verdict).collect();
    if !verdicts.is_empty() {
        return verdicts;
    }
    let mut shells: Vec<&str> = found.iter().map(|one| one.shell).collect();
    shells.dedup();
    vec![match shells.is_empty() {
        true => Verdict::ok(CHECK, "none are installed; 'nixos-nspawn completions SHELL' prints them"),
        false => Verdict::ok(CHECK, format!("they are current for {}", listed(&shells))),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    #[test]
    fn scripts_of_another_version() {
        let one = |same| InstalledScript { shell: "bash", path: "/usr/share/x".into(), same };
        assert_eq!(completions(&[])[0].level, Level::Ok);
        assert_eq!(completions(&[one(Ok(true))])[0].text, "they are current for bash");
        let verdict = &completions(&[one(Ok(false))])[0];
        assert_eq!(verdict.next.as_deref(), Some("nixos-nspawn completions bash > /usr/share/x"));
        let unseen = Unseen { why: "x".into(), needs_root: false };
        assert_eq!(completions(&[one(Err(unseen))])[0].level, Level::Warning);
    }
}

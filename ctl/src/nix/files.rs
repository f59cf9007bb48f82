//! The Nix files that evaluate a configuration file: where they are installed, and copies inside this program, so
//! that `setup` can install them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::base::exit::unchanged;

/// The directory of the installed files, fixed at build time; `NIXOS_NSPAWN_NIX` overrides it.
pub(crate) const DIRECTORY: &str = match option_env!("NIXOS_NSPAWN_NIX") {
    Some(path) => path,
    None => "/usr/local/share/nixos-nspawn/nix",
};

/// The file that turns a configuration file into a container.
const EVAL_CONFIG: &str = "eval-config.nix";

/// The files and their texts; they import only one another.
pub(crate) const FILES: [(&str, &str); 23] = [
    (EVAL_CONFIG, include_str!("../../../nix/eval-config.nix")),
    ("lib.nix", include_str!("../../../nix/lib.nix")),
    ("container.nix", include_str!("../../../nix/container.nix")),
    ("container-profile.nix", include_str!("../../../nix/container-profile.nix")),
    ("data.nix", include_str!("../../../nix/data.nix")),
    ("elements.nix", include_str!("../../../nix/elements.nix")),
    ("from-containers.nix", include_str!("../../../nix/from-containers.nix")),
    ("hardening.nix", include_str!("../../../nix/hardening.nix")),
    ("known.json", include_str!("../../../nix/known.json")),
    ("known.nix", include_str!("../../../nix/known.nix")),
    ("make-container.nix", include_str!("../../../nix/make-container.nix")),
    ("mounts.nix", include_str!("../../../nix/mounts.nix")),
    ("name.nix", include_str!("../../../nix/name.nix")),
    ("nspawn-definitions.nix", include_str!("../../../nix/nspawn-definitions.nix")),
    ("options.nix", include_str!("../../../nix/options.nix")),
    ("options-files.nix", include_str!("../../../nix/options-files.nix")),
    ("options-limits.nix", include_str!("../../../nix/options-limits.nix")),
    ("options-network.nix", include_str!("../../../nix/options-network.nix")),
    ("options-rights.nix", include_str!("../../../nix/options-rights.nix")),
    ("ports.nix", include_str!("../../../nix/ports.nix")),
    ("rules.nix", include_str!("../../../nix/rules.nix")),
    ("syntax.nix", include_str!("../../../nix/syntax.nix")),
    ("types.nix", include_str!("../../../nix/types.nix")),
];

/// Returns the path of the installed `eval-config.nix`.
pub(crate) fn eval_config() -> Result<PathBuf> {
    let path = Path::new(DIRECTORY).join(EVAL_CONFIG);
    if path.is_file() {
        return Ok(path);
    }
    unchanged(format!("{}: not found", path.display()), "run 'nixos-nspawn setup' first")
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_file_that_is_imported_is_there() {
        let mut imports = 0;
        for (name, text) in FILES {
            let words = text.split(|c: char| c.is_whitespace() || "()[]{};,\"".contains(c));
            for word in words.filter_map(|word| word.strip_prefix("./")) {
                assert!(FILES.iter().any(|(other, _)| *other == word), "{name} imports ./{word}");
                imports += 1;
            }
        }
        assert!(imports >= 8, "only {imports} imports were found");
    }

    #[test]
    fn make_installs_the_same() {
        let makefile = include_str!("../../../Makefile");
        let line = makefile.lines().find_map(|line| line.strip_prefix("NIX_FILES = ")).unwrap_or_default();
        let names: Vec<String> = FILES.iter().map(|(name, _)| format!("nix/{name}")).collect();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), names);
    }
}

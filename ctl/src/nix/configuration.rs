//! Configuration files (`--config`): turns a NixOS configuration, a nixpkgs and a Nix system into the source to
//! record and the arguments for `nix build`. They reach Nix as values, never as parts of an expression.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::{AbsolutePath, Text};

use crate::base::exit::{Failed, unchanged};
use crate::base::tilde;
use crate::nix::files;
use crate::nix::flake::Flake;
use crate::nix::metadata::Resolved;
use crate::nix::tool::{Nix, Outcome};

/// Returns the path to record for a file of the command line: absolute, so that it keeps its meaning. The file must
/// exist.
pub(crate) fn file(path: &Path) -> Result<AbsolutePath> {
    tilde::check_path(path)?;
    let absolute = std::path::absolute(path)?;
    check(&absolute)?;
    // A link stays a link; the directories above are resolved, because an intent cannot contain '..'.
    let recorded = match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => folder.canonicalize()?.join(name),
        _ => absolute.canonicalize()?,
    };
    Ok(recorded.to_string_lossy().parse().map_err(|error| Failed::Usage(format!("--config: {error}")))?)
}

/// Refuses anything but a configuration file, with a clearer message than Nix's.
fn check(path: &Path) -> Result<()> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return unchanged(format!("{shown}: there is no such configuration file"), "");
        }
        Err(error) => return unchanged(format!("{shown}: {error}"), ""),
    };
    // As everywhere in Nix, a directory stands for its default.nix.
    if !metadata.is_dir() || path.join("default.nix").is_file() {
        return Ok(());
    }
    let inside = path.join("configuration.nix");
    let next = if inside.is_file() {
        format!("use --config {}", inside.display())
    } else if path.join("flake.nix").is_file() {
        format!("use --flake {shown}")
    } else {
        String::new()
    };
    unchanged(format!("{shown}: is a directory without default.nix"), next)
}

/// Returns the nixpkgs to record, of the command line or of the defaults: an absolute path or a flake reference.
pub(crate) fn nixpkgs(said: &str, folder: &Path) -> Result<Text> {
    let flake = Flake::parse(said, folder)?;
    if flake.attribute.is_some() {
        let message = format!("'{said}' names an attribute, but a whole nixpkgs is needed");
        return Err(Failed::Usage(message).into());
    }
    check_nixpkgs(&flake.reference)?;
    Ok(flake.reference.parse().map_err(|error| Failed::Usage(format!("--nixpkgs: {error}")))?)
}

/// Checks that a path leads to a nixpkgs; flake references are left to Nix.
fn check_nixpkgs(reference: &str) -> Result<()> {
    if reference.starts_with('/') && !Path::new(reference).join("nixos/lib/eval-config.nix").is_file() {
        return unchanged(format!("{reference}: is not a nixpkgs, nixos/lib/eval-config.nix is missing"), "");
    }
    Ok(())
}

/// Resolves a nixpkgs flake. Without network, returns the recorded revision.
fn fetched(nix: &Nix, reference: &str, recorded: Option<&Text>) -> Result<Arc<Resolved>> {
    let reason = match nix.resolve(reference, None, &[], "")? {
        Outcome::At(resolved) => return Ok(resolved),
        Outcome::Unreachable(reason) => reason,
    };
    match recorded.map(|locked| nix.resolve(locked.as_str(), None, &[], "")).transpose()? {
        Some(Outcome::At(resolved)) => {
            nix.tell_stale(reference, &reason);
            Ok(resolved)
        }
        _ => Err(Failed::Program(reason).into()),
    }
}

/// Returns the arguments for `nix build`; the revision of a nixpkgs flake is noted in the source.
pub(crate) fn words(
    nix: &Nix,
    name: &MachineName,
    system: &str,
    source: &mut Source,
    config: &AbsolutePath,
    arguments: &[String],
) -> Result<Vec<String>> {
    let eval_config = files::eval_config()?;
    check(Path::new(config.as_str()))?;
    let mut words = vec!["--file".to_owned(), eval_config.to_string_lossy().into_owned()];
    let mut value = |argument: &str, value: &str| {
        words.extend(["--argstr", argument, value].map(str::to_owned));
    };
    value("name", name.as_str());
    value("system", system);
    value("config", config.as_str());
    // <nixpkgs> in the configuration must be the same nixpkgs.
    let search_path = |path: PathBuf| ["-I".to_owned(), format!("nixpkgs={}", path.display())];
    match source.nixpkgs.as_ref().map(Text::as_str) {
        Some(path) if path.starts_with('/') => {
            check_nixpkgs(path)?;
            value("nixpkgs", path);
            words.extend(search_path(path.into()));
            source.locked = None;
        }
        Some(reference) => {
            let at = fetched(nix, reference, source.locked.as_ref())
                .with_context(|| format!("{reference}: nixpkgs could not be fetched"))?;
            value("nixpkgsFlake", &at.locked);
            words.extend(at.path.clone().into_iter().flat_map(search_path));
            source.locked = Some(at.locked.parse()?);
        }
        None if nix.knows_nixpkgs(arguments)? => source.locked = None,
        None => {
            return unchanged(
                "there is no <nixpkgs> to build configuration files with",
                "pass one with --nixpkgs, for example --nixpkgs github:NixOS/nixpkgs/nixos-26.05, or set Nixpkgs= in nixos-nspawn.conf(5)",
            );
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn files_and_directories() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let shown = at.display();
        let nothing = "nothing was changed";
        let missing = at.join("missing.nix");
        assert_eq!(
            message(file(&missing)),
            format!("{shown}/missing.nix: there is no such configuration file, {nothing}")
        );
        let without = format!("{shown}: is a directory without default.nix, {nothing}");
        assert_eq!(message(file(&at)), without);
        fs::write(at.join("flake.nix"), "").unwrap();
        assert_eq!(message(file(&at)), format!("{without}; use --flake {shown}"));
        fs::write(at.join("configuration.nix"), "").unwrap();
        assert_eq!(message(file(&at)), format!("{without}; use --config {shown}/configuration.nix"));
        fs::write(at.join("default.nix"), "").unwrap();
        assert_eq!(file(&at).unwrap().as_str(), at.to_str().unwrap());
        fs::create_dir(at.join("sub")).unwrap();
        std::os::unix::fs::symlink("configuration.nix", at.join("link.nix")).unwrap();
        assert_eq!(file(&at.join("sub/../link.nix")).unwrap().as_str(), format!("{shown}/link.nix"));
    }

    #[test]
    fn nixpkgs_is_a_path_or_a_reference() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let shown = at.display();
        let said = |text: &str| nixpkgs(text, &at);
        assert_eq!(
            message(said("./.")),
            format!("{shown}: is not a nixpkgs, nixos/lib/eval-config.nix is missing, nothing was changed")
        );
        fs::create_dir_all(at.join("nixos/lib")).unwrap();
        fs::write(at.join("nixos/lib/eval-config.nix"), "").unwrap();
        assert_eq!(said(".").unwrap().as_str(), at.to_str().unwrap());
        assert_eq!(said("path:.").unwrap().as_str(), format!("path:{shown}"));
        assert_eq!(said("nixpkgs/nixos-26.05").unwrap().as_str(), "nixpkgs/nixos-26.05");
        assert_eq!(
            message(said("nixpkgs#hello")),
            "'nixpkgs#hello' names an attribute, but a whole nixpkgs is needed"
        );
    }
}

//! Flake references: turns what the user wrote into the installable to build and the source to record. Both layouts
//! are searched, `nixosContainers.ATTR` and `nixosContainers.SYSTEM.ATTR`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::unchanged;
use crate::nix::local_path::{absolute, local_path, not_found};
use crate::nix::tool::Nix;

const OUTPUT: &str = "nixosContainers";

/// A flake reference with an absolute path, and the attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flake {
    /// The reference without `#`.
    pub(crate) reference: String,
    /// The part after `#`.
    pub(crate) attribute: Option<String>,
}

impl Flake {
    /// Parses a reference; a relative path becomes absolute, so that it keeps its meaning.
    pub(crate) fn parse(text: &str, folder: &Path) -> Result<Self> {
        let (reference, attribute) = match text.split_once('#') {
            Some((reference, attribute)) => (reference, Some(attribute)),
            None => (text, None),
        };
        let attribute = attribute.filter(|attribute| !attribute.is_empty()).map(str::to_owned);
        Ok(Self { reference: absolute(reference, folder)?, attribute })
    }

    /// Refuses a local path that is not a flake, with a clearer message than Nix's.
    pub(crate) fn check(&self) -> Result<()> {
        let path = self.reference.strip_prefix("path:").unwrap_or(&self.reference);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        // With `dir=` the flake is in a subdirectory.
        if !path.starts_with('/') || query.contains("dir=") {
            return Ok(());
        }
        let folder = Path::new(path);
        if !folder.exists() {
            return unchanged(not_found(folder), "");
        }
        // Without a scheme Nix also searches the parent directories.
        let above = if path == self.reference { usize::MAX } else { 1 };
        let found = folder.ancestors().take(above).any(|folder| folder.join("flake.nix").exists());
        if !folder.is_dir() || found {
            return Ok(());
        }
        let inside = folder.join("configuration.nix");
        let next =
            if inside.is_file() { format!("use --config {}", inside.display()) } else { String::new() };
        unchanged(format!("{path}: is a directory without flake.nix"), next)
    }

    /// Returns the text to record as the source.
    pub(crate) fn recorded(&self) -> String {
        match &self.attribute {
            Some(attribute) => format!("{}#{attribute}", self.reference),
            None => self.reference.clone(),
        }
    }

    /// Returns the installable for the container `name`.
    pub(crate) fn installable(
        &self,
        nix: &Nix,
        name: &MachineName,
        system: &str,
        arguments: &[String],
    ) -> Result<String> {
        self.check()?;
        let attribute = self.attribute.as_deref().unwrap_or(name.as_str());
        if attribute.starts_with("nixosContainers.") {
            return Ok(format!("{}#{attribute}", self.reference));
        }
        let attribute = attribute.trim_matches('"');
        let looked = |error: anyhow::Error| {
            let hint = self.foreign_owner().unwrap_or_default();
            error.context(format!(
                "{}: neither {OUTPUT}.{attribute} nor {OUTPUT}.{system}.{attribute} could be read from this flake{hint}",
                self.reference
            ))
        };
        let direct = nix.attribute_names(&self.reference, OUTPUT, arguments).map_err(looked)?;
        if direct.iter().any(|one| one == attribute && one != system) {
            return Ok(format!("{}#{OUTPUT}.{}", self.reference, quoted(attribute)));
        }
        let mut by_system = Vec::new();
        if direct.iter().any(|one| one == system) {
            let set = format!("{OUTPUT}.{}", quoted(system));
            by_system = nix.attribute_names(&self.reference, &set, arguments).map_err(looked)?;
            if by_system.iter().any(|one| one == attribute) {
                return Ok(format!("{}#{set}.{}", self.reference, quoted(attribute)));
            }
        }
        // The attribute sets of systems are not containers.
        let all: Vec<String> = direct.into_iter().filter(|one| !is_system(one)).chain(by_system).collect();
        let has =
            if all.is_empty() { "it has none".to_owned() } else { format!("it has {}", all.join(", ")) };
        let flake = &self.reference;
        let why = format!("{flake}: there is neither {OUTPUT}.{attribute} nor {OUTPUT}.{system}.{attribute}");
        unchanged(why, has)
    }

    /// Returns the owner if the repository belongs to another user, which Nix (through Git) refuses unless sudo names
    /// that user.
    fn foreign_owner(&self) -> Option<String> {
        let path = local_path(&self.reference)?;
        // The checkout may begin above the folder of the flake.
        let checkout = path.ancestors().find(|folder| folder.join(".git").exists())?;
        let owner = std::fs::metadata(checkout.join(".git")).ok()?.uid();
        let trusted = owner == rustix::process::geteuid().as_raw() || std::env::var_os("SUDO_UID").is_some();
        (!trusted).then(|| {
            format!(
                "; it belongs to user {owner}: call the program through sudo, or allow the folder with 'git config \
                 --global --add safe.directory {}'",
                checkout.display()
            )
        })
    }
}

fn is_system(name: &str) -> bool {
    name.ends_with("-linux") || name.ends_with("-darwin")
}

/// Quotes an attribute name for a path: `web.example` is one name, not two.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-'".contains(c));
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        let at = here.display();
        let recorded = |text: &str| Flake::parse(text, &here).unwrap().recorded();
        assert_eq!(recorded(".#web"), format!("{at}#web"));
        assert_eq!(recorded("."), format!("{at}"));
        assert_eq!(recorded("path:.?dir=x#web"), format!("path:{at}?dir=x#web"));
        assert_eq!(recorded("#web"), format!("{at}#web"));
        assert_eq!(recorded("github:me/infra#web"), "github:me/infra#web");
        assert_eq!(recorded("/srv/flake#a.b"), "/srv/flake#a.b");
        assert_eq!(recorded("infra"), "infra");
        assert_eq!(recorded("git+file:.#web"), format!("git+file://{at}#web"));
        assert!(Flake::parse("./missing#web", &here).is_err());
    }

    #[test]
    fn directories() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let shown = at.display();
        let check = |text: &str| Flake::parse(text, &at).and_then(|flake| flake.check());
        let message = |text: &str| check(text).unwrap_err().to_string();
        let none = format!("{shown}/none: there is no such flake, nothing was changed");
        assert_eq!(message("./none#web"), none);
        assert_eq!(message(&format!("path:{shown}/none#web")), none);
        let without = format!("{shown}: is a directory without flake.nix, nothing was changed");
        assert_eq!(message("."), without);
        std::fs::write(at.join("configuration.nix"), "").unwrap();
        let next = format!("; use --config {shown}/configuration.nix");
        assert_eq!(message("path:.#web"), without.clone() + &next);
        assert!(check(".?dir=below").is_ok() && check("infra").is_ok());
        std::fs::write(at.join("flake.nix"), "").unwrap();
        std::fs::create_dir(at.join("sub")).unwrap();
        assert!(check(".").is_ok() && check("./sub#web").is_ok() && check("path:./sub").is_err());
    }

    #[test]
    fn attributes() {
        assert_eq!(quoted("web"), "web");
        assert_eq!(quoted("web.example"), "\"web.example\"");
        assert_eq!(quoted("x86_64-linux"), "x86_64-linux");
        assert_eq!(quoted("1a"), "\"1a\"");
    }
}

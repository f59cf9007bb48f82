//! Flake references: turns what the user wrote into the installable to build and the source to record. Both layouts
//! are searched, `nixosContainers.ATTR` and `nixosContainers.SYSTEM.ATTR`.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::shown;

use crate::base::exit::unchanged;
use crate::nix::local_path::{absolute, not_found};
use crate::nix::metadata::Resolved;
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

    /// Returns the attribute of the container `name` in the flake at this revision.
    pub(crate) fn attribute_of(
        &self,
        nix: &Nix,
        at: &Resolved,
        name: &MachineName,
        system: &str,
        accepted: Option<u32>,
        arguments: &[String],
    ) -> Result<String> {
        let attribute = self.attribute.as_deref().unwrap_or(name.as_str());
        if attribute.starts_with("nixosContainers.") {
            return Ok(attribute.to_owned());
        }
        if let Some(rest) = attribute.strip_prefix(CONFIGURATIONS).and_then(|rest| rest.strip_prefix('.')) {
            return Ok(match rest.contains(".config.") {
                true => attribute.to_owned(),
                false => format!("{CONFIGURATIONS}.{rest}.{SYSTEM}"),
            });
        }
        let attribute = attribute.trim_matches('"');
        let wanted = format!("neither {OUTPUT}.{attribute} nor {OUTPUT}.{system}.{attribute}");
        let all = nix
            .container_names(at, OUTPUT, accepted, arguments)
            .with_context(|| format!("{}: {wanted} could be read", self.reference))?;
        let Some(all) = all else {
            // A flake for hosts may have a configuration of that name.
            let names = nix.container_names(at, CONFIGURATIONS, accepted, arguments)?.unwrap_or_default();
            if names.contains_key(attribute) {
                return Ok(format!("{CONFIGURATIONS}.{}.{SYSTEM}", quoted(attribute)));
            }
            if names.is_empty() {
                return unchanged(
                    format!("{}: has neither {OUTPUT} nor {CONFIGURATIONS}", self.reference),
                    "'nix flake show' lists what it has",
                );
            }
            let names: Vec<String> =
                names.into_keys().map(|name| format!("{CONFIGURATIONS}.{name}")).collect();
            return unchanged(format!("{}: there is no {OUTPUT}", self.reference), has(&names));
        };
        if all.contains_key(attribute) && attribute != system {
            return Ok(format!("{OUTPUT}.{}", quoted(attribute)));
        }
        let by_system = all.get(system).cloned().flatten().unwrap_or_default();
        if by_system.iter().any(|one| one == attribute) {
            return Ok(format!("{OUTPUT}.{}.{}", quoted(system), quoted(attribute)));
        }
        // The attribute sets of systems are not containers.
        let names = all.into_iter().filter(|(_, names)| names.is_none()).map(|(name, _)| name);
        let all: Vec<String> = names.chain(by_system).collect();
        unchanged(format!("{}: there is {wanted}", self.reference), has(&all))
    }
}

/// The output with NixOS configurations, and the attribute of a configuration that is its system.
const CONFIGURATIONS: &str = "nixosConfigurations";
const SYSTEM: &str = "config.system.build.toplevel";

/// Returns whether an attribute is the system of a NixOS configuration, which may not have been made for a container.
pub(crate) fn is_configuration(attribute: &str) -> bool {
    attribute.starts_with(CONFIGURATIONS)
}

/// The maximum number of containers named in a message.
const NAMED: usize = 20;

/// Names the containers of a flake. Its author chose the names, so they are escaped and limited in number.
fn has(all: &[String]) -> String {
    let mut words: Vec<String> = all.iter().take(NAMED).map(|name| shown(name)).collect();
    match all.len().saturating_sub(NAMED) {
        0 => {}
        more => words.push(format!("{more} more")),
    }
    if words.is_empty() { "it has none".to_owned() } else { format!("it has {}", words.join(", ")) }
}

/// Quotes an attribute name for a path: `web.example` is one name, not two.
pub(crate) fn quoted(name: &str) -> String {
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
        let message = |text: &str| Flake::parse(text, &here).unwrap_err().to_string();
        let why =
            "begins with '~', which the shell did not replace, nothing was changed; name the absolute path";
        let home = crate::base::tilde::home("root").unwrap();
        assert_eq!(message("~root/infra#web"), format!("~root/infra: {why}, such as {home}/infra"));
        assert_eq!(
            message("git+file://~root/infra?ref=main"),
            format!("git+file://~root/infra?ref=main: {why}, such as git+file://{home}/infra?ref=main")
        );
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
    fn names_of_a_flake_are_one_line() {
        assert_eq!(has(&[]), "it has none");
        assert_eq!(has(&["web".to_owned(), "a\nnixos-nspawn: b\u{1b}".to_owned()]).lines().count(), 1);
        let many: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        assert!(has(&many).ends_with("19, 99980 more") && has(&["x".repeat(1 << 20)]).len() < 1000);
    }

    #[test]
    fn attributes() {
        assert_eq!(quoted("web"), "web");
        assert_eq!(quoted("web.example"), "\"web.example\"");
        assert_eq!(quoted("x86_64-linux"), "x86_64-linux");
        assert_eq!(quoted("1a"), "\"1a\"");
    }
}

//! The administrator's defaults: /etc/nixos-nspawn.conf and /etc/nixos-nspawn.conf.d/*.conf (`nixos-nspawn.conf(5)`).
//! INI text goes in, checked values come out. ctl resolves them into the intent; the generator never reads them.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use configparser::ini::{Ini, IniDefault};
use nixos_nspawn_units::store::BootLimit;
use nixos_nspawn_units::syntax::settings::parse_boolean;
use nixos_nspawn_units::value::{AbsolutePath, Text, Timespan};

/// Defaults for what a command line does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// `[Nix] Command=`: the nix program.
    pub(crate) nix_command: Option<String>,
    /// `[Nix] Arguments=`: further words for each nix build.
    pub(crate) nix_arguments: Vec<String>,
    /// `[Nix] System=`: the Nix system to build for.
    pub(crate) system: Option<Text>,
    /// `[Nix] Nixpkgs=`: what configuration files are built with, a path or a flake reference.
    pub(crate) nixpkgs: Option<String>,
    /// `[Nix] ProfileDirectory=`: where profiles are made.
    pub(crate) profile_directory: AbsolutePath,
    /// `[Container] TimeoutStartSec=`: for containers that say nothing.
    pub(crate) timeout_start_sec: Option<Timespan>,
    /// `[Container] AllowHostChanges=`: whether an update may reach further into the host than before.
    pub(crate) allow_host_changes: bool,
    /// `[Host] BootLimit=`: how many containers may be starting at the same time at boot; goes to host.json.
    pub(crate) boot_limit: Option<BootLimit>,
}

/// Where profiles are, unless said otherwise; python-nixos-nspawn has them there, too.
const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

impl Config {
    fn built_in() -> Result<Self> {
        Ok(Self {
            nix_command: None,
            nix_arguments: Vec::new(),
            system: None,
            nixpkgs: None,
            profile_directory: PROFILES.parse()?,
            timeout_start_sec: None,
            allow_host_changes: false,
            boot_limit: None,
        })
    }

    /// Reads all files below `root`; a later one wins setting by setting. The drop-ins follow in the order of their names.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut config = Self::built_in()?;
        for path in files(root)? {
            let text =
                std::fs::read_to_string(&path).map_err(|error| anyhow!("{}: {error}", path.display()))?;
            config.apply(&text).map_err(|error| anyhow!("{}: {error}, nothing was done", path.display()))?;
        }
        Ok(config)
    }

    fn apply(&mut self, text: &str) -> Result<()> {
        for (section, settings) in parse(text)? {
            for (key, value) in settings {
                // As in systemd, an empty value goes back to the default.
                let value = value.unwrap_or_default();
                let given = (!value.is_empty()).then_some(value.as_str());
                match (section.as_str(), key.as_str()) {
                    ("Nix", "Command") => self.nix_command = given.map(str::to_owned),
                    ("Nix", "Arguments") => self.nix_arguments = words(given.unwrap_or_default()),
                    ("Nix", "System") => self.system = checked(&key, given)?,
                    ("Nix", "Nixpkgs") => self.nixpkgs = given.map(str::to_owned),
                    ("Nix", "ProfileDirectory") => {
                        self.profile_directory = match checked(&key, given)? {
                            Some(path) => path,
                            None => Self::built_in()?.profile_directory,
                        };
                    }
                    ("Container", "TimeoutStartSec") => self.timeout_start_sec = checked(&key, given)?,
                    ("Container", "AllowHostChanges") => {
                        self.allow_host_changes = parse_boolean(given.unwrap_or("no"))
                            .ok_or_else(|| anyhow!("{key}: '{value}' is neither yes nor no"))?;
                    }
                    ("Host", "BootLimit") => self.boot_limit = checked(&key, given)?,
                    ("Nix" | "Container" | "Host", _) => {
                        return Err(anyhow!("[{section}] has no setting '{key}'"));
                    }
                    ("default", _) => return Err(anyhow!("setting '{key}' stands before any section")),
                    _ => return Err(anyhow!("there is no section [{section}]")),
                }
            }
        }
        Ok(())
    }
}

fn checked<T: std::str::FromStr<Err = nixos_nspawn_units::value::Invalid>>(
    key: &str,
    value: Option<&str>,
) -> Result<Option<T>> {
    value.map(str::parse).transpose().map_err(|error| anyhow!("{key}: {error}"))
}

/// Blanks separate words; none of Nix's own arguments needs more than that in a file of defaults.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

type Sections = Vec<(String, Vec<(String, Option<String>)>)>;

/// configparser's own defaults cut values at `#` and `;`, which flake references hold, and lower-case the keys.
fn parse(text: &str) -> Result<Sections> {
    let mut rules = IniDefault::default();
    rules.case_sensitive = true;
    rules.comment_symbols = vec!['#', ';'];
    rules.inline_comment_symbols = Some(Vec::new());
    rules.delimiters = vec!['='];
    rules.multiline = false;
    let mut ini = Ini::new_from_defaults(rules);
    let sections = ini.read(text.to_owned()).map_err(|error| anyhow!("{error}"))?;
    Ok(sections.into_iter().map(|(name, settings)| (name, settings.into_iter().collect())).collect())
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let main = root.join("etc/nixos-nspawn.conf");
    if main.exists() {
        files.push(main);
    }
    let folder = root.join("etc/nixos-nspawn.conf.d");
    if let Ok(entries) = std::fs::read_dir(&folder) {
        let mut drop_ins: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
            .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
            .collect();
        drop_ins.sort();
        files.extend(drop_ins);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let mut config = Config::built_in()?;
        config.apply(text)?;
        Ok(config)
    }

    #[test]
    fn values_keep_their_case_and_number_signs() {
        let config =
            read("# comment\n[Nix]\nCommand=/opt/Nix/bin/nix\nArguments=--override-input x flake#a;b\nNixpkgs=nixpkgs/nixos-26.05\n")
                .unwrap();
        assert_eq!(config.nix_command.as_deref(), Some("/opt/Nix/bin/nix"));
        assert_eq!(config.nixpkgs.as_deref(), Some("nixpkgs/nixos-26.05"));
        assert_eq!(config.nix_arguments, ["--override-input", "x", "flake#a;b"]);
        let config = read("[Container]\nTimeoutStartSec=5min\n").unwrap();
        assert_eq!(config.timeout_start_sec.unwrap().as_str(), "5min");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(message("[Nix]\nCommando=x\n"), "[Nix] has no setting 'Commando'");
        assert_eq!(message("[Nyx]\nCommand=x\n"), "there is no section [Nyx]");
        assert_eq!(message("Command=x\n"), "setting 'Command' stands before any section");
        assert!(
            message("[Container]\nTimeoutStartSec=lots\n")
                .starts_with("TimeoutStartSec: 'lots' is not a time span")
        );
        for bad in ["0", "-1", "some", "10001"] {
            let message = message(&format!("[Host]\nBootLimit={bad}\n"));
            assert_eq!(message, format!("BootLimit: '{bad}' is not a number of containers (1 to 10000)"));
        }
        assert!(message("[Nix]\nProfileDirectory=relative\n").contains("is not an absolute path"));
    }
}

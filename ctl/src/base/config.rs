//! The administrator's defaults: /etc/nixos-nspawn.conf and /etc/nixos-nspawn.conf.d/*.conf (`nixos-nspawn.conf(5)`).
//! The syntax is systemd's (`systemd.syntax(7)`). ctl resolves the defaults into the intent; the generator never
//! reads these files.

use std::path::Path;

use anyhow::{Result, anyhow};
use nixos_nspawn_units::store::BootLimit;
use nixos_nspawn_units::syntax::settings::parse_boolean;
use nixos_nspawn_units::syntax::{Ignored, UnitFile, parse};
use nixos_nspawn_units::value::{AbsolutePath, Text, Timespan};

use crate::base::config_files;
use crate::base::config_files::Trust;
use crate::base::scope::Scope;

/// Defaults for everything that the command line leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// `[Nix] Command=`: the nix program.
    pub(crate) nix_command: Option<String>,
    /// `[Nix] Arguments=`: extra arguments for every nix build.
    pub(crate) nix_arguments: Vec<String>,
    /// `[Nix] System=`: the Nix system to build for.
    pub(crate) system: Option<Text>,
    /// `[Nix] Nixpkgs=`: the nixpkgs that configuration files are built with, a path or a flake reference.
    pub(crate) nixpkgs: Option<String>,
    /// `[Nix] ProfileDirectory=`: the directory of the profiles.
    pub(crate) profile_directory: AbsolutePath,
    /// `[Container] TimeoutStartSec=`: for containers that do not set it.
    pub(crate) timeout_start_sec: Option<Timespan>,
    /// `[Container] AllowHostChanges=`: whether an update may reach further into the host than before.
    pub(crate) allow_host_changes: bool,
    /// `[Host] BootLimit=`: how many containers may start at the same time at boot; recorded in host.json.
    pub(crate) boot_limit: Option<BootLimit>,
    /// `[Host] MetricsFile=`: where metrics are written after each update of all containers.
    pub(crate) metrics_file: Option<AbsolutePath>,
}

/// The default profile directory, which python-nixos-nspawn uses as well.
pub(crate) const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

/// The sections and the settings in them.
pub(crate) const SETTINGS: &[(&str, &[&str])] = &[
    ("Nix", &["Command", "Arguments", "System", "Nixpkgs", "ProfileDirectory"]),
    ("Container", &["TimeoutStartSec", "AllowHostChanges"]),
    ("Host", &["BootLimit", "MetricsFile"]),
];

impl Config {
    /// Checks one setting; returns why it is refused.
    pub(crate) fn check(section: &str, key: &str, value: &str) -> Result<(), String> {
        let mut file = UnitFile::default();
        file.section(section).set(key.to_owned(), value);
        Self::built_in().and_then(|mut config| config.apply(&file)).map_err(|error| {
            let reason = error.to_string();
            reason.strip_prefix(&format!("{key}: ")).map_or(reason.clone(), str::to_owned)
        })
    }

    /// Returns the defaults of a host without configuration files.
    pub(crate) fn built_in() -> Result<Self> {
        Ok(Self {
            nix_command: None,
            nix_arguments: Vec::new(),
            system: None,
            nixpkgs: None,
            profile_directory: PROFILES.parse()?,
            timeout_start_sec: None,
            allow_host_changes: false,
            boot_limit: None,
            metrics_file: None,
        })
    }

    /// Reads all files below `root`. Later files override earlier ones setting by setting; drop-ins are sorted by
    /// name.
    pub(crate) fn read(root: &Path, scope: &Scope, trust: Trust) -> Result<Self> {
        let mut config = Self::built_in()?;
        for (path, bytes) in config_files::read(root, scope.defaults, trust)? {
            let file = settings(&path, &bytes)?;
            config.apply(&file).map_err(|error| anyhow!("{}: {error}, nothing was done", path.display()))?;
        }
        Ok(config)
    }

    fn apply(&mut self, file: &UnitFile) -> Result<()> {
        for (section, key, value) in file.settings() {
            // As in systemd, an empty value restores the default.
            let given = (!value.is_empty()).then_some(value);
            match (section, key) {
                ("Nix", "Command") => self.nix_command = given.map(str::to_owned),
                ("Nix", "Arguments") => self.nix_arguments = words(given.unwrap_or_default()),
                ("Nix", "System") => self.system = checked(key, given)?,
                ("Nix", "Nixpkgs") => self.nixpkgs = given.map(str::to_owned),
                ("Nix", "ProfileDirectory") => {
                    self.profile_directory = match checked(key, given)? {
                        Some(path) => path,
                        None => Self::built_in()?.profile_directory,
                    };
                }
                ("Container", "TimeoutStartSec") => self.timeout_start_sec = checked(key, given)?,
                ("Container", "AllowHostChanges") => {
                    self.allow_host_changes = parse_boolean(given.unwrap_or("no"))
                        .ok_or_else(|| anyhow!("{key}: '{value}' is neither yes nor no"))?;
                }
                ("Host", "MetricsFile") => self.metrics_file = checked(key, given)?,
                ("Host", "BootLimit") => self.boot_limit = checked(key, given)?,
                ("Nix" | "Container" | "Host", _) => {
                    return Err(anyhow!("[{section}] has no setting '{key}'"));
                }
                _ => return Err(anyhow!("there is no section [{section}]")),
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

/// Splits at whitespace. Nix arguments in a defaults file need no quoting.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Parses the settings of a file. Where systemd would warn and ignore a line, this fails, so that no setting is lost
/// silently.
fn settings(path: &Path, bytes: &[u8]) -> Result<UnitFile> {
    let refused = |located: &dyn std::fmt::Display| anyhow!("{located}, nothing was done");
    let parsed = parse(bytes).map_err(|error| refused(&error.at(path)))?;
    if let Some(warning) = parsed.warnings.first() {
        let reason = match warning.reason {
            Ignored::OutsideSection => "assignment outside of a section",
            Ignored::NoEquals => "missing '='",
            Ignored::NoKey => "missing key name before '='",
        };
        return Err(refused(&format!("{}:{}: {reason}", path.display(), warning.line)));
    }
    Ok(parsed.file.without_extensions())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let mut config = Config::built_in()?;
        config.apply(&settings(Path::new("f"), text.as_bytes())?)?;
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
    fn lines_are_those_of_systemd() {
        // Every line ending counts, including a lone CR, and lines may be continued.
        for end in ["\n", "\r", "\r\n", "\0"] {
            let text = [
                "[Nix]",
                "Command = /a",
                "Arguments=b \\",
                "# not this",
                "c",
                "",
                "[Container]",
                "AllowHostChanges=ON",
            ];
            let config = read(&text.join(end)).unwrap();
            assert_eq!(config.nix_command.as_deref(), Some("/a"), "{end:?}");
            assert_eq!(config.nix_arguments, ["b", "c"], "{end:?}");
            assert!(config.allow_host_changes, "{end:?}");
        }
        // The last value wins, an empty one restores the default, and X- sections and settings are ignored.
        let config =
            read("\u{feff}[Nix]\nSystem=a\nSystem=b\nCommand=x\nCommand=\nX-Mine=y\n[X-Other]\nz\n").unwrap();
        assert_eq!(config.system.unwrap().as_str(), "b");
        assert_eq!(config.nix_command, None);
    }

    #[test]
    fn every_setting_is_listed() {
        for (section, keys) in SETTINGS {
            for key in *keys {
                assert_eq!(Config::check(section, key, ""), Ok(()), "[{section}] {key}=");
            }
        }
        let fields = format!("{:?}", Config::built_in().unwrap()).matches(": ").count();
        assert_eq!(SETTINGS.iter().map(|(_, keys)| keys.len()).sum::<usize>(), fields);
        let error = Config::check("Host", "BootLimit", "0").unwrap_err();
        assert_eq!(error, "'0' is not a number of containers (1 to 10000)");
    }

    #[test]
    fn unknown_settings_are_refused() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(message("[Nix]\nCommando=x\n"), "[Nix] has no setting 'Commando'");
        assert_eq!(message("[Nyx]\nCommand=x\n"), "there is no section [Nyx]");
        let line = |text: &str| message(text).strip_suffix(", nothing was done").map(str::to_owned);
        assert_eq!(line("#\nCommand=x\n").as_deref(), Some("f:2: assignment outside of a section"));
        assert_eq!(line("[Nix]\nCommand\n").as_deref(), Some("f:2: missing '='"));
        assert_eq!(line("[Nix]\n=x\n").as_deref(), Some("f:2: missing key name before '='"));
        assert_eq!(line("[Nix\n").as_deref(), Some("f:1: section header does not end in ']'"));
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

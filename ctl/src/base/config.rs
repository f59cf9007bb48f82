//! The administrator's defaults: /etc/nixos-nspawn.conf and /etc/nixos-nspawn.conf.d/*.conf (`nixos-nspawn.conf(5)`).
//! The syntax is systemd's (`systemd.syntax(7)`). ctl resolves the defaults into the intent; the generator never
//! reads these files.

use std::path::Path;

use anyhow::{Result, anyhow};
use nixos_nspawn_units::intent::nearest;
use nixos_nspawn_units::store::BootLimit;
use nixos_nspawn_units::value::{AbsolutePath, Text, Timespan};
use nixos_nspawn_units::verify;
use nixos_nspawn_units::verify::{Finding, Place};
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::{Ignored, UnitFile, parse};

use crate::base::config_files;
use crate::base::config_files::Trust;
use crate::base::exit::{Failed, Refusal, unchanged};
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
    /// `[Host] Name=`: the host's name for `nixosContainer.hosts`; its host name if missing.
    pub(crate) host_name: Option<Text>,
    /// `[Host] Tags=`: further names of the host there.
    pub(crate) tags: Vec<String>,
    /// `[Host] Flake=`: the flake that `apply` applies.
    pub(crate) flake: Option<Text>,
    /// `[Host] MetricsFile=`: where metrics are written after each update of all containers.
    pub(crate) metrics_file: Option<AbsolutePath>,
}

/// The default profile directory, which python-nixos-nspawn uses as well.
pub(crate) const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

/// The sections and the settings in them.
pub(crate) const SETTINGS: &[(&str, &[&str])] = &[
    ("Nix", &["Command", "Arguments", "System", "Nixpkgs", "ProfileDirectory"]),
    ("Container", &["TimeoutStartSec", "AllowHostChanges"]),
    ("Host", &["BootLimit", "Flake", "MetricsFile", "Name", "Tags"]),
];

impl Config {
    /// Checks one setting; returns why it is refused.
    pub(crate) fn check(section: &str, key: &str, value: &str) -> Result<(), String> {
        Self::built_in().and_then(|mut config| config.set(section, key, value)).map_err(|error| {
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
            host_name: None,
            tags: Vec::new(),
            flake: None,
            metrics_file: None,
        })
    }

    /// Reads all files below `root`. Later files override earlier ones setting by setting; drop-ins are sorted by
    /// name.
    pub(crate) fn read(root: &Path, scope: &Scope, trust: Trust) -> Result<Self> {
        let mut config = Self::built_in()?;
        for (path, bytes) in config_files::read(root, scope.defaults, trust)? {
            let faults = config.apply(&path, &bytes)?;
            if let Some(what) = faults.into_iter().next() {
                return unchanged(what, "");
            }
        }
        Ok(config)
    }

    /// Reads what is good in the files, for commands that change nothing. Returns it with what is ignored and why.
    pub(crate) fn read_good(root: &Path, scope: &Scope, trust: Trust) -> Result<(Self, Vec<String>)> {
        let mut config = Self::built_in()?;
        let mut ignored = Vec::new();
        let whole = |error: anyhow::Error, ignored: &str| match error.downcast_ref::<Failed>() {
            Some(Failed::Refused(Refusal { why, remedy, .. })) => {
                let remedy = remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
                format!("{why}, {ignored}{remedy}")
            }
            _ => format!("{error:#}"),
        };
        let files = config_files::read(root, scope.defaults, trust).unwrap_or_else(|error| {
            ignored.push(whole(error, "the built-in defaults are used"));
            Vec::new()
        });
        for (path, bytes) in files {
            match config.apply(&path, &bytes) {
                Ok(faults) => {
                    ignored
                        .extend(faults.into_iter().map(|fault| format!("{fault}, the setting is ignored")));
                }
                Err(error) => ignored.push(whole(error, "the file is ignored")),
            }
        }
        Ok((config, ignored))
    }

    /// Applies the settings of a file; returns the faults of those that cannot be applied.
    fn apply(&mut self, path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let mut lines = Lines::default();
        for (section, key, value) in settings(path, bytes)?.settings() {
            if let Err(error) = self.set(section, key, value) {
                let line = lines.of(bytes, section, key).map(|line| format!(":{line}")).unwrap_or_default();
                faults.push(format!("{}{line}: {error}", path.display()));
            }
        }
        Ok(faults)
    }

    fn set(&mut self, section: &str, key: &str, value: &str) -> Result<()> {
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
            ("Host", "Name") => self.host_name = checked(key, given)?,
            ("Host", "Tags") => self.tags = words(given.unwrap_or_default()),
            ("Host", "Flake") => self.flake = checked(key, given)?,
            ("Host", "MetricsFile") => self.metrics_file = checked(key, given)?,
            ("Host", "BootLimit") => self.boot_limit = checked(key, given)?,
            _ => return Err(unknown(section, key)),
        }
        Ok(())
    }
}

/// Returns why a setting is not known, with the one that may be meant.
fn unknown(section: &str, key: &str) -> anyhow::Error {
    let meant = |name: Option<&str>| name.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
    let Some((_, keys)) = SETTINGS.iter().find(|(known, _)| *known == section) else {
        let near = nearest(section, SETTINGS.iter().map(|(known, _)| *known)).map(|name| format!("[{name}]"));
        return anyhow!("there is no section [{section}]{}", meant(near.as_deref()));
    };
    let near = nearest(key, keys.iter().copied()).map(|name| format!("{name}="));
    let elsewhere =
        || SETTINGS.iter().find(|(_, keys)| keys.contains(&key)).map(|(known, _)| format!("[{known}]"));
    anyhow!("[{section}] has no setting '{key}'{}", meant(elsewhere().or(near).as_deref()))
}

/// The lines of the faults in a file, in order; they are looked up only if there are any.
#[derive(Default)]
struct Lines(Option<Vec<Finding>>);

impl Lines {
    /// Returns the line of the next fault of this setting, or that of its section's header if the section is not known.
    fn of(&mut self, bytes: &[u8], section: &str, key: &str) -> Option<usize> {
        let found = self.0.get_or_insert_with(|| verify::settings(bytes, SETTINGS, Config::check));
        let of_key =
            |one: &Finding| matches!(&one.place, Some(Place::Setting(s, k)) if s == section && k == key);
        let of_section = |one: &Finding| matches!(&one.place, Some(Place::Section(s)) if s == section);
        match found.iter().position(of_key) {
            Some(at) => found.remove(at).line,
            None => found.iter().find(|one| of_section(one)).and_then(|one| one.line),
        }
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
    let refused = |located: &dyn std::fmt::Display| Failed::unchanged(located.to_string(), "");
    let parsed = parse(bytes).map_err(|error| refused(&error.at(path)))?;
    if let Some(warning) = parsed.warnings.first() {
        let reason = match warning.reason {
            Ignored::OutsideSection => "assignment outside of a section",
            Ignored::NoEquals => "missing '='",
            Ignored::NoKey => "missing key name before '='",
        };
        return Err(refused(&format!("{}:{}: {reason}", path.display(), warning.line)).into());
    }
    Ok(parsed.file.without_extensions())
}

#[cfg(test)]
mod tests;

//! Finds and calls Nix: builds, and the profiles that keep the results. References and attributes are passed as
//! arguments of their own, never as parts of an expression. Nix's messages pass through to the user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::value::StorePath;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::program::Program;
use crate::host::files::which;
use crate::host::profile_links::generation;
use crate::nix::local_path::local_path;

/// The Nix installation of this host.
pub(crate) struct Nix<'a> {
    host: &'a Host,
    program: PathBuf,
}

/// Variables that point Nix to a user's configuration, caches and the like.
const USERS_CONFIGURATION: [&str; 6] = [
    "NIX_USER_CONF_FILES",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Directories of nix that may not be in PATH, which sudo resets.
const PLACES: [&str; 2] = ["/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin"];

impl<'a> Nix<'a> {
    /// Finds nix: as configured, in PATH, or where multi-user installations and NixOS have it.
    pub(crate) fn find(host: &'a Host) -> Result<Self> {
        let name = host.config.nix_command.as_deref().unwrap_or("nix");
        if name.contains('/') {
            if !Path::new(name).is_file() {
                return unchanged(format!("{name}: not found"), "see Command= in nixos-nspawn.conf(5)");
            }
            return Ok(Self { host, program: name.into() });
        }
        match which(name, &PLACES) {
            Some(program) => Ok(Self { host, program }),
            None => unchanged(
                format!("{name}: not found in PATH, {}", PLACES.join(" or ")),
                "install Nix (Debian: package nix-bin), or set Command= in nixos-nspawn.conf(5)",
            ),
        }
    }

    fn call(&self, command: &str) -> Program<'_> {
        // These features may be disabled; enabling them twice is harmless.
        let features = ["--extra-experimental-features", "nix-command flakes"];
        let trace = (self.host.verbose && ["build", "eval"].contains(&command)).then_some("--show-trace");
        let program = self.host.program(&self.program);
        let program = program.args(command.split(' ')).args(features).args(trace).may_ask();
        // Git refreshes its index even when it only reads.
        let program = program.variable("GIT_OPTIONAL_LOCKS", Some("0"));
        if std::env::var_os("SUDO_UID").is_none() {
            return program;
        }
        // With `sudo -E` root's Nix would read the configuration of the calling user.
        USERS_CONFIGURATION.iter().fold(program, |program, name| program.variable(name, None))
    }

    /// A call that resolves a reference. The flake of another user is only read: root would write a lock file into
    /// it.
    fn call_on(&self, command: &str, reference: &str) -> Program<'_> {
        let own = rustix::process::geteuid().as_raw();
        let foreign = local_path(reference)
            .and_then(|path| fs::metadata(path).ok())
            .is_some_and(|folder| folder.uid() != own);
        self.call(command).args(foreign.then_some("--no-write-lock-file"))
    }

    /// Returns the attribute names of an attribute set of a flake.
    pub(crate) fn attribute_names(
        &self,
        reference: &str,
        set: &str,
        arguments: &[String],
    ) -> Result<Vec<String>> {
        let answer = self
            .call_on("eval", reference)
            .args(["--json", "--apply", "builtins.attrNames"])
            .arg(format!("{reference}#{set}"))
            .args(arguments)
            .output_with_messages()?;
        serde_json::from_str(&answer)
            .with_context(|| format!("{}: unexpected answer of nix eval", self.program.display()))
    }

    /// Builds an installable; `link`, if given, protects the result from garbage collection.
    pub(crate) fn build(
        &self,
        what: &[String],
        link: Option<&Path>,
        arguments: &[String],
    ) -> Result<StorePath> {
        let keep: Vec<&OsStr> = match link {
            Some(link) => vec![OsStr::new("--out-link"), link.as_os_str()],
            None => vec![OsStr::new("--no-link")],
        };
        let answer = self
            .call_on("build", what.first().map_or("", String::as_str))
            .arg("--print-out-paths")
            .args(keep)
            .args(what)
            .args(arguments)
            .output_with_messages()?;
        let mut paths = answer.lines().map(str::trim).filter(|line| !line.is_empty());
        match (paths.next(), paths.next()) {
            (Some(path), None) => Ok(path.parse()?),
            _ => Err(Failed::Program(format!(
                "{}: nix built {} paths, expected one",
                what.join(" "),
                answer.lines().count()
            ))
            .into()),
        }
    }

    /// Returns the path of another program of the same Nix.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// Returns the flake reference locked to its current revision or hash, or `None` if that is unknown.
    pub(crate) fn locked(&self, reference: &str) -> Option<String> {
        let answer = self.call_on("flake metadata", reference).args(["--json", reference]).output_if_any()?;
        let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
        answer.get("url")?.as_str().map(str::to_owned)
    }

    /// Fetches a flake and returns the locked reference and its path.
    pub(crate) fn fetched(&self, reference: &str) -> Result<(String, PathBuf)> {
        let answer =
            self.call_on("flake metadata", reference).args(["--json", reference]).output_with_messages()?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let text = |key: &str| answer.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let (url, path) = text("url").zip(text("path")).with_context(|| {
            format!("{}: unexpected answer of nix flake metadata", self.program.display())
        })?;
        Ok((url, path.into()))
    }

    /// Returns whether Nix can resolve `<nixpkgs>`.
    pub(crate) fn knows_nixpkgs(&self, arguments: &[String]) -> Result<bool> {
        let expression = "(builtins.tryEval (toString <nixpkgs>)).success";
        let answer = self.call("eval").args(["--json", "--impure", "--expr", expression]).args(arguments);
        Ok(answer.output()?.trim() == "true")
    }

    /// Makes an existing generation the current one of a profile.
    pub(crate) fn switch_generation(&self, profile: &Path, number: u64) -> Result<()> {
        let program = self.host.program(self.tool("nix-env"));
        program
            .arg("--profile")
            .arg(profile)
            .arg("--switch-generation")
            .arg(number.to_string())
            .output()
            .map(|_| ())
    }

    /// Adds `path` to a profile as its newest generation, and returns its number.
    pub(crate) fn set_profile(&self, profile: &Path, path: &StorePath) -> Result<u64> {
        self.host
            .program(self.tool("nix-env"))
            .arg("--profile")
            .arg(profile)
            .args(["--set", path.as_str()])
            .output()?;
        generation(&self.host.path(profile))
    }
}

impl Nix<'_> {
    /// Deletes generations of a profile; Nix refuses to delete the current one.
    pub(crate) fn delete_generations(&self, profile: &Path, numbers: &[u64]) -> Result<()> {
        self.host
            .program(self.tool("nix-env"))
            .arg("--profile")
            .arg(profile)
            .arg("--delete-generations")
            .args(numbers.iter().map(u64::to_string))
            .output()
            .map(|_| ())
    }

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

/// Returns the Nix system of this machine.
pub(crate) fn native_system() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        "powerpc64" => "powerpc64le",
        other => other,
    };
    format!("{architecture}-linux")
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

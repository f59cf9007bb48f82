//! Finds and calls Nix. References and attributes are passed as arguments of their own, never as parts of an expression.
//! Nix's messages pass through to the user.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::base::call::Messages;
use crate::base::event::Event;
use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::base::program::Program;
use crate::host::files::which;
use crate::nix::cause::{Cause, failure};
use crate::nix::checkout::Checkout;
use crate::nix::metadata::Resolved;

/// The Nix installation of this host.
pub(crate) struct Nix<'a> {
    pub(crate) host: &'a Host,
    program: PathBuf,
    /// Whether to ask servers for the newest revision, instead of using what Nix has cached for an hour.
    pub(crate) refresh: bool,
    /// The time limit of each build, which overrides the recorded ones.
    pub(crate) build_limit: Option<Duration>,
    /// The references resolved by this command, by reference and arguments.
    pub(crate) resolved: RefCell<BTreeMap<Vec<String>, Outcome>>,
    /// The references that were reported as not refreshed.
    told: RefCell<BTreeSet<String>>,
}

/// What another thread needs for a Nix of its own.
pub(crate) struct Parts {
    program: PathBuf,
    refresh: bool,
    build_limit: Option<Duration>,
    resolved: BTreeMap<Vec<String>, Outcome>,
    told: BTreeSet<String>,
}

/// The outcome of resolving a reference.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The flake at its revision.
    At(Arc<Resolved>),
    /// No server could be reached; the text says why.
    Unreachable(String),
}

/// How long `nix --version` may take.
const VERSION: Duration = Duration::from_secs(30);

/// How long `nix flake metadata` may take.
const METADATA: Duration = Duration::from_secs(5 * 60);

/// How long `nix eval` may take.
const EVALUATION: Duration = Duration::from_secs(30 * 60);

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
            return Ok(Self::new(host, name.into()));
        }
        match which(name, &PLACES) {
            Some(program) => Ok(Self::new(host, program)),
            None => unchanged(
                format!("{name}: not found in PATH, {}", PLACES.join(" or ")),
                "install Nix (Debian: package nix-bin), or set Command= in nixos-nspawn.conf(5)",
            ),
        }
    }

    /// Returns what another thread needs.
    pub(crate) fn parts(&self) -> Parts {
        let Self { host: _, program, refresh, build_limit, resolved, told } = self;
        let (resolved, told) = (resolved.borrow().clone(), told.borrow().clone());
        Parts { program: program.clone(), refresh: *refresh, build_limit: *build_limit, resolved, told }
    }

    /// Returns the same Nix, for a host.
    pub(crate) fn of_parts(host: &'a Host, parts: Parts) -> Self {
        let Parts { program, refresh, build_limit, resolved, told } = parts;
        let (resolved, told) = (RefCell::new(resolved), RefCell::new(told));
        Self { host, program, refresh, build_limit, resolved, told }
    }

    /// Reports, once, that the last known revision of a reference is used.
    pub(crate) fn tell_stale(&self, reference: &str, reason: &str) {
        if self.told.borrow_mut().insert(reference.to_owned()) {
            let (reference, reason) = (reference.to_owned(), reason.to_owned());
            self.host.report(Event::NotRefreshed { reference, reason });
        }
    }

    /// Sets the time limit of a build.
    pub(crate) fn building_at_most(self, build_limit: Option<Duration>) -> Self {
        Self { build_limit, ..self }
    }

    /// Sets whether to ask servers for the newest revision.
    pub(crate) fn refreshing(self, refresh: bool) -> Self {
        Self { refresh, ..self }
    }

    fn new(host: &'a Host, program: PathBuf) -> Self {
        let (resolved, told) = (RefCell::default(), RefCell::default());
        Self { host, program, refresh: true, build_limit: None, resolved, told }
    }

    pub(super) fn call(&self, command: &str) -> Program<'_> {
        // These features may be disabled; enabling them twice is harmless.
        let features = ["--extra-experimental-features", "nix-command flakes"];
        let trace = (self.host.verbose && ["build", "eval"].contains(&command)).then_some("--show-trace");
        let program = self.host.program(&self.program);
        let program = match command {
            "flake metadata" => program.limit(METADATA),
            "eval" => program.limit(EVALUATION),
            _ => program,
        };
        let program = program.args(command.split(' ')).args(features).args(trace);
        // Git refreshes its index even when it only reads.
        let program = program.variable("GIT_OPTIONAL_LOCKS", Some("0"));
        if std::env::var_os("SUDO_UID").is_none() {
            return program;
        }
        // With `sudo -E` root's Nix would read the configuration of the calling user.
        USERS_CONFIGURATION.iter().fold(program, |program, name| program.variable(name, None))
    }

    /// Returns a call that resolves a reference. No lock file is written to the flake of another user. If that
    /// user is accepted, SUDO_UID makes Git read the checkout.
    pub(crate) fn call_on(&self, command: &str, reference: &str, accepted: Option<u32>) -> Program<'_> {
        let checkout = Checkout::of(reference).filter(Checkout::foreign);
        let call = self.call(command).args(checkout.as_ref().map(|_| "--no-write-lock-file"));
        match checkout.filter(|checkout| accepted == Some(checkout.owner)) {
            Some(checkout) => call.variable("SUDO_UID", Some(&checkout.owner.to_string())),
            None => call,
        }
    }

    /// Returns the names in a set of a flake, and the names below those that are Nix systems; `None` if the flake does not
    /// have that set.
    pub(crate) fn container_names(
        &self,
        flake: &Resolved,
        set: &str,
        accepted: Option<u32>,
        arguments: &[String],
    ) -> Result<Option<BTreeMap<String, Option<Vec<String>>>>> {
        // Other names are containers, whose values are not evaluated.
        const NAMES: &str = "builtins.mapAttrs (name: value: \
            if builtins.match \".*-(linux|darwin)\" name != null then builtins.attrNames value else null)";
        let ended = self
            .call_on("eval", &flake.reference, accepted)
            .arg("--no-write-lock-file")
            .args(["--json", "--apply", NAMES])
            .arg(format!("{}#{set}", flake.reference))
            .args(arguments)
            .may_ask()
            .ended_with(Messages::PassedOn)?;
        if !ended.status.success() {
            return match Cause::of(&ended.stderr) {
                Some(Cause::Attribute) => Ok(None),
                _ => Err(failure("eval", &ended).into()),
            };
        }
        serde_json::from_str(&ended.stdout)
            .map(Some)
            .with_context(|| format!("{}: unexpected answer of nix eval", self.program.display()))
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.program
    }

    /// Returns the path of another program of the same Nix.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// Returns what Nix says about itself, `nix (Nix) 2.26.3`.
    pub(crate) fn says_version(&self) -> Result<String> {
        let answer = self.host.program(&self.program).arg("--version").limit(VERSION).output()?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }

    /// Returns whether Nix can resolve `<nixpkgs>`.
    pub(crate) fn knows_nixpkgs(&self, arguments: &[String]) -> Result<bool> {
        let expression = "(builtins.tryEval (toString <nixpkgs>)).success";
        let answer = self.call("eval").args(["--json", "--impure", "--expr", expression]).args(arguments);
        Ok(answer.output()?.trim() == "true")
    }
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

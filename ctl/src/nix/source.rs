//! Turns the command line or a recorded source into the source to build and record. A recorded source does not
//! depend on the working directory.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::value::{Invalid, StorePath, Text};

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::tilde;
use crate::nix::checkout::Checkout;
use crate::nix::flake::Flake;
use crate::nix::local_path::absolute_argument;
use crate::nix::{configuration, tool};

/// The source arguments of a command line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SourceArguments<'a> {
    /// `--flake`
    pub(crate) flake: Option<&'a str>,
    /// `--config`
    pub(crate) config: Option<&'a Path>,
    /// `--nixpkgs`
    pub(crate) nixpkgs: Option<&'a str>,
    /// `--profile`
    pub(crate) profile: Option<&'a Path>,
    /// `--system`
    pub(crate) system: Option<&'a str>,
    /// Arguments after `--`, in addition to the recorded ones.
    pub(crate) nix_args: &'a [String],
    /// Whether to record these arguments for later updates.
    pub(crate) save_args: bool,
    /// What was built elsewhere, for the containers that it is for.
    pub(crate) built: &'a [BuiltElsewhere],
}

/// A build of a container's source that another host has made, and that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltElsewhere {
    /// The container.
    pub(crate) name: String,
    pub(crate) path: StorePath,
    /// The revision that was built.
    pub(crate) locked: Option<Text>,
}

impl FromStr for BuiltElsewhere {
    type Err = String;

    /// Parses `NAME=PATH[,REF]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("is not NAME=PATH[,REF]")?;
        let (path, locked) = match rest.split_once(',') {
            Some((path, locked)) => (path, Some(locked)),
            None => (rest, None),
        };
        let path = path.parse().map_err(|error: Invalid| error.to_string())?;
        let locked = locked.map(|locked| locked.parse().map_err(|error: Invalid| error.to_string()));
        Ok(Self { name: name.to_owned(), path, locked: locked.transpose()? })
    }
}

/// The source that a command builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The source to record, still without a revision.
    pub(crate) source: Source,
    /// All arguments for Nix, including those that are not recorded.
    pub(crate) arguments: Vec<String>,
    /// What was built elsewhere.
    pub(crate) built: Vec<BuiltElsewhere>,
}

impl<'a> SourceArguments<'a> {
    /// Returns the source to build. Missing parts come from `before`, then from the administrator's defaults.
    pub(crate) fn wanted(&self, host: &Host, before: Option<&Source>) -> Result<Wanted> {
        let mut source = match (self.flake, self.config, self.profile, before) {
            (None, None, None, Some(before)) => before.clone(),
            _ => Source::default(),
        };
        let here = std::env::current_dir()?;
        if let Some(reference) = self.flake {
            let flake = Flake::parse(reference, &here)?;
            flake.check()?;
            source.flake = Some(text(flake.recorded())?);
            // Naming a checkout accepts its owner.
            let checkout = Checkout::of(&flake.reference).filter(|checkout| checkout.git);
            source.owner = checkout.filter(Checkout::foreign).map(|checkout| checkout.owner);
        } else if let Some(path) = self.config {
            source.config = Some(configuration::file(path)?);
            // Another file of the same container is built with the same nixpkgs, unless one is given.
            source.nixpkgs = before.and_then(|before| before.nixpkgs.clone());
            let configured = host.config.nixpkgs.as_deref();
            if let Some(configured) =
                configured.filter(|_| source.nixpkgs.is_none() && self.nixpkgs.is_none())
            {
                source.nixpkgs = Some(configuration::nixpkgs(configured, Path::new("/"))?);
            }
        } else if let Some(path) = self.profile {
            tilde::check_path(path)?;
            let absolute = std::path::absolute(path)?;
            let inside = Path::new("/").join(absolute.strip_prefix(&host.root).unwrap_or(&absolute));
            source.profile = Some(inside.to_string_lossy().parse().map_err(usage)?);
        }
        if let Some(nixpkgs) = self.nixpkgs {
            if source.config.is_none() {
                let message =
                    "--nixpkgs applies to configuration files, and this container is not built from one";
                return Err(Failed::Usage(message.to_owned()).into());
            }
            source.nixpkgs = Some(configuration::nixpkgs(nixpkgs, &here)?);
        }
        if let Some(system) = self.system {
            source.system = Some(text(system.to_owned())?);
        }
        if source.system.is_none() {
            let configured = host.config.system.as_ref().map(|system| system.as_str().to_owned());
            source.system = Some(text(configured.unwrap_or_else(tool::native_system))?);
        }
        let named = self.flake.is_some() || self.config.is_some() || self.profile.is_some();
        if before.is_none() || named {
            let words = host.config.nix_arguments.iter();
            source.nix_args =
                words.map(|word| text(absolute_argument(word, &here)?)).collect::<Result<_>>()?;
        }
        let given = self.nix_args.iter().map(|word| absolute_argument(word, &here));
        let given = given.collect::<Result<Vec<String>>>()?;
        let recorded = source.nix_args.iter().map(|word| word.as_str().to_owned());
        let arguments = recorded.chain(given.clone()).collect();
        if before.is_none() || self.save_args {
            for word in given {
                source.nix_args.push(text(word)?);
            }
        }
        Ok(Wanted { source, arguments, built: self.built.to_vec() })
    }
}

fn text(text: String) -> Result<Text> {
    text.parse().map_err(usage)
}

fn usage(error: Invalid) -> anyhow::Error {
    Failed::Usage(error.to_string()).into()
}

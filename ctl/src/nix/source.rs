//! Sources of systems: turns the command line or a recorded source into a build and the source to record. A recorded
//! source means the same from any directory, and names the revision that was built.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::{StorePath, Text};

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::nix::flake::Flake;
use crate::nix::local_path::absolute_argument;
use crate::nix::tool::Nix;
use crate::nix::{configuration, profile, tool};

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
    /// Arguments after `--`.
    pub(crate) nix_args: &'a [String],
}

impl<'a> SourceArguments<'a> {
    /// Returns the source to record; missing parts come from `before`, then from the administrator's defaults.
    pub(crate) fn source(&self, host: &Host, before: Option<&Source>) -> Result<Source> {
        let mut source = match (self.flake, self.config, self.profile, before) {
            (None, None, None, Some(before)) => before.clone(),
            _ => Source::default(),
        };
        let here = std::env::current_dir()?;
        if let Some(reference) = self.flake {
            let flake = Flake::parse(reference, &here)?;
            flake.check()?;
            source.flake = Some(text(flake.recorded())?);
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
        if before.is_none() || !self.nix_args.is_empty() {
            let words = host.config.nix_arguments.iter().chain(self.nix_args);
            source.nix_args =
                words.map(|word| text(absolute_argument(word, &here)?)).collect::<Result<_>>()?;
        }
        Ok(source)
    }
}

fn text(text: String) -> Result<Text> {
    text.parse().map_err(usage)
}

fn usage(error: nixos_nspawn_units::value::Invalid) -> anyhow::Error {
    Failed::Usage(error.to_string()).into()
}

/// Builds the source, or finds an existing build, and notes the revision. A link protects the result from garbage
/// collection.
pub(crate) fn build(
    host: &Host,
    nix: Option<&Nix>,
    name: &MachineName,
    source: &mut Source,
    link: Option<&Path>,
) -> Result<StorePath> {
    if let Some(path) = &source.profile {
        return profile::store_path(host, Path::new(path.as_str()));
    }
    let words: Vec<String> = source.nix_args.iter().map(|word| word.as_str().to_owned()).collect();
    let system = source.system.as_ref().map_or_else(tool::native_system, |system| system.as_str().to_owned());
    match (source.flake.clone(), source.config.clone(), nix) {
        (Some(reference), _, Some(nix)) => {
            let flake = Flake::parse(reference.as_str(), Path::new("/"))?;
            let installable = flake.installable(nix, name, &system, &words)?;
            source.locked = nix.locked(&flake.reference).and_then(|locked| locked.parse().ok());
            nix.build(&[installable], link, &words)
        }
        (None, Some(config), Some(nix)) => {
            let what = configuration::words(nix, name, &system, source, &config, &words)?;
            nix.build(&what, link, &words)
        }
        _ => unchanged(
            format!("container '{name}' has no source to build from"),
            "pass --flake, --config or --profile",
        ),
    }
}

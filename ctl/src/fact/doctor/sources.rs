//! The recorded sources of containers that are paths of this host.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::fact::doctor::seen::Unseen;
use crate::fact::overview::Overview;
use crate::nix::checkout::Checkout;
use crate::nix::local_path::local_path;

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceFault {
    /// The path does not exist.
    Missing(String),
    /// The Git checkout belongs to a user who was not accepted: the reason, and the reference.
    Owner(String, String),
    /// It cannot be looked at.
    Unseen(Unseen),
}

/// The sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourcesSeen {
    /// The number of local sources.
    pub(crate) local: usize,
    /// What is wrong with them.
    pub(crate) faults: Vec<(MachineName, SourceFault)>,
}

impl SourcesSeen {
    /// Looks at the sources of all containers.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let mut seen = Self::default();
        for container in overview.containers.values() {
            let source = container.intent.as_ref().and_then(|intent| intent.source.as_ref());
            let Some(source) = source else { continue };
            for (path, reference) in paths(source) {
                seen.local += 1;
                let fault = fault(host, &path, reference.as_deref(), source.owner);
                seen.faults.extend(fault.map(|fault| (container.name.clone(), fault)));
            }
        }
        seen
    }
}

/// Returns the paths that a source names, with the reference if it is that of a flake.
fn paths(source: &Source) -> Vec<(String, Option<String>)> {
    let flake = source.flake.as_ref().map(ToString::to_string);
    let nixpkgs = source.nixpkgs.as_ref().map(ToString::to_string);
    let local = |reference: &String| Some(local_path(reference)?.display().to_string());
    let mut paths: Vec<(String, Option<String>)> =
        flake.iter().filter_map(|reference| Some((local(reference)?, Some(reference.clone())))).collect();
    paths.extend(source.config.iter().map(|path| (path.to_string(), None)));
    paths.extend(nixpkgs.iter().filter_map(|reference| Some((local(reference)?, None))));
    paths
}

fn fault(host: &Host, path: &str, reference: Option<&str>, accepted: Option<u32>) -> Option<SourceFault> {
    match fs::metadata(host.directory(path)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some(SourceFault::Missing(path.to_owned()));
        }
        Err(error) => return Some(SourceFault::Unseen(Unseen::path(Path::new(path), &error))),
    }
    // Owners in a tree are those of another system.
    let checkout = Checkout::of(reference.filter(|_| host.live())?)?;
    checkout.fault(accepted).map(|why| SourceFault::Owner(why, reference.unwrap_or_default().to_owned()))
}

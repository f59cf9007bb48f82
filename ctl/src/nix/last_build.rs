//! What a new build takes from the last one: its revision if no server can be reached, and its result if the inputs are the
//! same.

use std::sync::Arc;

use anyhow::Result;
use nixos_nspawn_units::intent::Source;

use crate::base::exit::Failed;
use crate::base::secrets::{with_password, without_password};
use crate::host::update_memory::BuiltFrom;
use crate::nix::build::{Made, Request};
use crate::nix::flake::Flake;
use crate::nix::metadata::Resolved;
use crate::nix::source::Wanted;
use crate::nix::tool::{Nix, Outcome};

/// Arguments that make the result depend on more than the source.
const IMPURE: [&str; 9] = [
    "--impure",
    "--no-pure-eval",
    "--option",
    "--include",
    "-I",
    "--rebuild",
    "--repair",
    "--recreate-lock-file",
    "--update-input",
];

impl Request<'_> {
    /// Returns the last build if it was one of this flake.
    pub(super) fn last_of(&self, flake: &Flake) -> Option<&BuiltFrom> {
        self.last.filter(|last| last.flake == without_password(&flake.recorded()))
    }

    /// Resolves the flake. Without network, returns the recorded revision.
    pub(super) fn resolved(&self, nix: &Nix, flake: &Flake) -> Result<Arc<Resolved>> {
        flake.check()?;
        let Wanted { source, arguments, .. } = self.wanted;
        let others = self.last.map_or("", |last| last.inputs.as_str());
        let reason = match nix.resolve(&flake.reference, source.owner, arguments, others)? {
            Outcome::At(resolved) => return Ok(resolved),
            Outcome::Unreachable(reason) => reason,
        };
        let at = |locked: &str, reference: &str, inputs: &str| Resolved {
            locked: locked.to_owned(),
            reference: reference.to_owned(),
            inputs: inputs.to_owned(),
            path: None,
            stale: Some(reason.clone()),
        };
        if let Some(last) = self.last_of(flake) {
            let [locked, reference] =
                [&last.locked, &last.reference].map(|text| with_password(text, &flake.reference));
            nix.tell_stale(&flake.reference, &reason);
            return Ok(Arc::new(at(&locked, &reference, &last.inputs)));
        }
        let before = self.recorded.filter(|before| before.flake == source.flake);
        match before.and_then(|before| before.locked.as_ref()) {
            Some(locked) => {
                nix.tell_stale(&flake.reference, &reason);
                Ok(Arc::new(at(locked.as_str(), locked.as_str(), "")))
            }
            None => Err(Failed::Program(reason).into()),
        }
    }

    /// Returns the last build if its inputs were the same.
    pub(super) fn same(&self, at: &Resolved) -> Option<&BuiltFrom> {
        let Wanted { source, arguments, .. } = self.wanted;
        let impure = |word: &String| IMPURE.iter().any(|flag| word.split('=').next() == Some(flag));
        let last = self.last.filter(|_| !arguments.iter().any(impure))?;
        let same = source.flake.as_ref().is_some_and(|flake| without_password(flake.as_str()) == last.flake)
            && last.reference == without_password(&at.reference)
            && last.inputs == without_password(&at.inputs)
            && last.system == self.system()
            && last.arguments_hash == BuiltFrom::hash_of(arguments);
        let there = || self.host.path(last.output.as_str()).symlink_metadata().is_ok();
        (same && there()).then_some(last)
    }

    pub(super) fn made(&self, at: &Resolved, from: BuiltFrom) -> Made {
        let locked = at.locked.parse().ok();
        let source = Source { locked, ..self.wanted.source.clone() };
        Made { path: from.output.clone(), source, from: Some(from), stale: at.stale.clone() }
    }
}

//! Resolves flake references to revisions. A command resolves each reference once, however many containers use it.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::base::call::Messages;
use crate::base::exit::Failed;
use crate::nix::cause::{Cause, answered, failure, used_cache};
use crate::nix::checkout::Checkout;
use crate::nix::metadata::read;
use crate::nix::missing_host::{found_instead, missing_host};
use crate::nix::tool::{Nix, Outcome};

impl Nix<'_> {
    /// Resolves a reference, once per command. `accepted` is another user whose checkout may be read, `others` text with
    /// references that were resolved before.
    pub(crate) fn resolve(
        &self,
        reference: &str,
        accepted: Option<u32>,
        arguments: &[String],
        others: &str,
    ) -> Result<Outcome> {
        if let Some(checkout) = Checkout::of(reference) {
            checkout.check(accepted)?;
        }
        let key = [&[reference.to_owned()], arguments].concat();
        if let Some(known) = self.resolved.borrow().get(&key) {
            return Ok(known.clone());
        }
        let outcome = self.ask(reference, accepted, arguments, others)?;
        // Without any answer, there may be no known revision.
        if let Outcome::At(resolved) = &outcome {
            resolved.stale.iter().for_each(|reason| self.tell_stale(reference, reason));
        }
        self.resolved.borrow_mut().insert(key, outcome.clone());
        Ok(outcome)
    }

    /// Returns why a reference that was resolved may be out of date.
    pub(crate) fn stale(&self, reference: &str) -> Option<String> {
        match self.resolved.borrow().get(&vec![reference.to_owned()])? {
            Outcome::At(resolved) => resolved.stale.clone(),
            Outcome::Unreachable(reason) => Some(reason.clone()),
        }
    }

    fn ask(
        &self,
        reference: &str,
        accepted: Option<u32>,
        arguments: &[String],
        others: &str,
    ) -> Result<Outcome> {
        let ended = self
            .call_on("flake metadata", reference, accepted)
            .args(self.refresh.then_some("--refresh"))
            .args(["--json", reference])
            .args(arguments)
            .may_ask()
            .ended_with(Messages::PassedOn)?;
        if ended.status.success() {
            if let Some(error) = answered(&ended.stderr).filter(|_| used_cache(&ended.stderr)) {
                return Err(error).with_context(|| format!("{reference}: cannot be refreshed"));
            }
            let resolved = read(&ended).with_context(|| format!("{reference}: could not be resolved"))?;
            return Ok(Outcome::At(Arc::new(resolved)));
        }
        let error = failure("flake metadata", &ended);
        match Cause::of(&ended.stderr) {
            Some(Cause::Network) => {
                let missing = missing_host(&ended.stderr);
                let other =
                    missing.as_ref().and_then(|name| found_instead(self.host, name, reference, others));
                match (missing, other) {
                    (Some(missing), Some(other)) => Err(Failed::Program(format!(
                        "nix flake metadata: host '{missing}' of an input cannot be found, but '{other}' can; \
                         check the inputs of the flake"
                    ))
                    .into()),
                    _ => Ok(Outcome::Unreachable(error.to_string())),
                }
            }
            _ => Err(error.into()),
        }
    }
}

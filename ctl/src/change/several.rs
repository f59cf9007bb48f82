//! Work on several containers at once, whose locks are all held.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::host::lock::Lock;

/// The result for each container.
pub(crate) type Results<R> = BTreeMap<MachineName, Result<R>>;

/// Works on containers, first together on those that no other command is working on. The others are waited for one by one,
/// so that nobody waits who holds the lock of another. Where the work as a whole fails, each of its containers does.
pub(super) fn locked<R>(
    host: &Host,
    names: &[MachineName],
    work: impl Fn(&[&MachineName]) -> Result<Results<R>>,
) -> Results<R> {
    let work = |names: &[&MachineName]| work(names).unwrap_or_else(|error| all_failed(names, error));
    let mut results = Results::new();
    let mut free = Vec::new();
    let mut busy = Vec::new();
    for name in names {
        match Lock::container_if_free(host, name) {
            Ok(Some(lock)) => free.push((name, lock)),
            Ok(None) => busy.push(name),
            Err(error) => drop(results.insert(name.clone(), Err(error))),
        }
    }
    let (free, locks): (Vec<_>, Vec<_>) = free.into_iter().unzip();
    if !free.is_empty() {
        results.extend(work(&free));
    }
    drop(locks);
    for name in busy {
        match Lock::container(host, name) {
            Ok(_lock) => results.extend(work(&[name])),
            Err(error) => drop(results.insert(name.clone(), Err(error))),
        }
    }
    results
}

/// Returns one failure for each container; the first has the error itself, which decides the exit code.
pub(super) fn all_failed<R>(names: &[&MachineName], error: Error) -> Results<R> {
    let text = format!("{error:#}");
    let others = names.iter().skip(1).map(|name| Failed::Program(format!("container '{name}': {text}")));
    let errors = std::iter::once(error).chain(others.map(Error::from));
    names.iter().zip(errors).map(|(name, error)| ((*name).clone(), Err(error))).collect()
}

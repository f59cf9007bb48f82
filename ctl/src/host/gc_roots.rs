//! Garbage collector roots for the containers' systems.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::{running_root, runs};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::host::Host;
use crate::host::files::{names_in, remove_file, sync_directory, write_link};

/// Returns the link that pins a generation.
pub(crate) fn pin_link(host: &Host, name: &MachineName, number: u64) -> PathBuf {
    host.gc_roots().join(format!("{name}-pin-{number}"))
}

/// Returns the system of the running container. After a power failure the link may be older than the container.
pub(crate) fn running_toplevel(host: &Host, name: &MachineName) -> Option<StorePath> {
    if !runs(&host.root, name) {
        return None;
    }
    fs::read_link(running_root(&host.root, name)).ok()?.to_str()?.parse().ok()
}

/// Roots the recorded system, so that it is not collected whatever happens to the profile.
pub(crate) fn keep(host: &Host, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    root(host, name.as_str(), toplevel)
}

/// Roots the system that the running container has after a reload.
pub(crate) fn keep_running(host: &Host, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    root(host, &format!("{name}-running"), toplevel)
}

fn root(host: &Host, name: &str, toplevel: &StorePath) -> Result<()> {
    let roots = host.gc_roots();
    fs::create_dir_all(&roots).with_context(|| roots.display().to_string())?;
    let link = roots.join(name);
    write_link(&link, toplevel.as_str()).with_context(|| format!("{}: cannot be linked", link.display()))?;
    sync_directory(&roots)
}

/// Removes the root of the recorded system if it is this one.
pub(crate) fn remove_own(host: &Host, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    let link = host.gc_roots().join(name.as_str());
    match fs::read_link(&link) {
        Ok(target) if target.to_str() == Some(toplevel.as_str()) => remove_file(&link),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| link.display().to_string()),
    }
}

/// Returns the roots and pins of a container, with their names under another one.
pub(crate) fn renamed(host: &Host, from: &MachineName, to: &MachineName) -> Result<Vec<(PathBuf, PathBuf)>> {
    let roots = host.gc_roots();
    let pin = format!("{from}-pin-");
    let numbered = |file: &str| file.strip_prefix(&pin)?.parse::<u64>().ok();
    let mut all = vec![(roots.join(from.as_str()), roots.join(to.as_str()))];
    for file in names_in(&roots)? {
        if let Some(number) = numbered(&file) {
            all.push((roots.join(&file), pin_link(host, to, number)));
        }
    }
    Ok(all)
}

/// Removes all roots and pins of a container that is being removed.
pub(crate) fn remove_all(host: &Host, name: &MachineName) -> Result<()> {
    // MachineName rejects names of this form.
    let prefix = format!("{name}-pin-");
    let numbered = |file: &str| file.strip_prefix(&prefix).is_some_and(|rest| rest.parse::<u64>().is_ok());
    let roots = host.gc_roots();
    let pins = names_in(&roots)?.into_iter().filter(|file| numbered(file));
    pins.map(|file| roots.join(file)).try_for_each(|pin| remove_file(&pin))
}

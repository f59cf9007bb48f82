//! What commands and runs of containers have left on disk besides intents.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use nixos_nspawn_units::copies;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::fact::overview::Unfinished;
use crate::host::lock;
use crate::host::pending::begun;

/// Returns containers that have left files behind, or that a command has begun to change.
pub(super) fn traces(host: &Host) -> Result<Vec<(MachineName, Option<Unfinished>)>> {
    let running = fs::read_dir(host.root.join(copies::NSPAWN_DIRECTORY)).into_iter().flatten().flatten();
    let mut traces: BTreeMap<MachineName, Option<Unfinished>> = running
        .filter_map(|entry| {
            let name: MachineName = entry.file_name().to_str()?.strip_suffix(".nspawn")?.parse().ok()?;
            let ours = copies::marked(&entry.path()).ok().flatten().is_some();
            (ours && copies::runs(&host.root, &name)).then_some((name, None))
        })
        .collect();
    for (name, step) in begun(host)? {
        let process = busy(host, &name);
        traces.insert(name, Some(Unfinished { step, process }));
    }
    Ok(traces.into_iter().collect())
}

/// Returns the process that holds the container's lock. The file is read, not locked: readers may lack permission and
/// must not block commands.
pub(super) fn busy(host: &Host, name: &MachineName) -> Option<u32> {
    let holder = lock::holder(host, name.as_str())?;
    let program = fs::read_to_string(format!("/proc/{holder}/comm")).ok()?;
    program.starts_with("nixos-nspawn").then_some(holder)
}

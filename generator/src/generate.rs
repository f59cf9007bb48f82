//! The generator: reads the intents below /etc/nixos-nspawn, plans their units, and writes them below the output
//! directory. A bad file never keeps the others from being generated, and no files keep the host from booting: the time
//! of a run is limited.

use std::path::Path;
use std::time::{Duration, SystemTime};

use nixos_nspawn_units::deadline::Work;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_in_time;
use nixos_nspawn_units::store::{Trust, load_in_time};
use nixos_nspawn_units::write::Writer;

use rustix::time::{ClockId, clock_gettime};

use crate::log::Log;

/// Returns the processor time after which the generator no longer begins this kind of work. Containers are written
/// while others are planned, so the time of planning includes writing. Containers that were not read or planned by then are
/// refused, and each refusal still has to be written: a run takes about two seconds of processor time. Time spent waiting
/// for a slow disk or in a busy boot does not count, since healthy containers would be refused; it is bounded by the sizes
/// of the files.
fn limit(work: Work) -> Duration {
    Duration::from_millis(match work {
        Work::LargeFile => 500,
        Work::SmallFile => 1500,
        Work::Plan => 1800,
    })
}

/// Returns the processor time that this process has used.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Writes the units for the intents below `root` into `directory`. Returns the exit status: 0, or 1 if something was
/// refused or failed.
pub(crate) fn generate(root: &Path, directory: &Path, log: &Log) -> u8 {
    // The initrd has an /etc of its own, so the host's intents do not apply to it.
    if std::env::var_os("SYSTEMD_IN_INITRD").is_some_and(|value| value == "1") {
        return 0;
    }
    let began = SystemTime::now();
    let in_time = |work| used() < limit(work);
    let loaded = load_in_time(root, Trust::below(root), &in_time);
    // Files are written while others are planned, so that only some are in memory.
    let writer = Writer::open(directory, began);
    let plan = plan_in_time(&loaded, &in_time, &|| {
        let mut batch = writer.as_ref().ok().map(Writer::batch);
        move |container: Option<&MachineName>, files| {
            if let Some(batch) = &mut batch {
                batch.write(container, files);
            }
        }
    });
    let errors = writer.map_or_else(|error| vec![error], Writer::finish);
    for fault in &plan.faults {
        log.error(&format!("{fault}, ignoring"));
    }
    for container in &plan.containers {
        if let Some(refusal) = &container.refusal {
            log.error(&format!("{refusal}, container '{}' will not start", container.name));
        }
        for warning in &container.warnings {
            log.warning(&format!("container '{}': {warning}", container.name));
        }
    }
    for error in &errors {
        log.error(&error.to_string());
    }
    let refused = plan.containers.iter().any(|container| container.refusal.is_some());
    let status = u8::from(refused || !plan.faults.is_empty() || !errors.is_empty());
    // The process ends here. Freeing each allocation would only slow down the boot.
    std::mem::forget((loaded, plan));
    status
}

//! The generator proper: everything below /etc/nixos-nspawn is read, planned, and written below the output
//! directory. It returns 0 when all is good and 1 when something was refused; one bad file never keeps the others
//! from being generated.

use std::path::Path;

use nixos_nspawn_units::plan::plan;
use nixos_nspawn_units::store::{Trust, load};
use nixos_nspawn_units::write::write_plan;

use crate::log::Log;

/// Writes the units for the intent below `root` into `directory`.
pub(crate) fn generate(root: &Path, directory: &Path, log: &Log) -> u8 {
    // The host's intent is none of the initrd's business, which has its own /etc.
    if std::env::var_os("SYSTEMD_IN_INITRD").is_some_and(|value| value == "1") {
        return 0;
    }
    let loaded = load(root, trust(root));
    let plan = plan(&loaded);
    let errors = write_plan(directory, &plan);
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
    // The process ends here: to give back each piece of memory by itself would only make every boot longer.
    std::mem::forget((loaded, plan));
    status
}

/// On a running system only root's files count; a tree for an image may be the caller's.
pub(crate) fn trust(root: &Path) -> Trust {
    let also = (root != Path::new("/")).then(|| rustix::process::geteuid().as_raw());
    Trust { also }
}

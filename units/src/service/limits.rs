//! The part of [Service] that limits the container and allows it devices (`systemd.resource-control(5)`). The limits
//! hold for nspawn and the container together, and are read when it starts.

use crate::intent::{Container, Permissions};
use crate::nspawn::files::{FUSE, KMSG, TUN};
use crate::value::single_slashes;
use systemd_unit_syntax::Section;
use systemd_unit_syntax::escape::{self, EscapeError};

/// Adds the settings of the options that are set.
pub(super) fn set(service: &mut Section, container: &Container) -> Result<(), EscapeError> {
    let mut limit = |key: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            service.set(key, value);
        }
    };
    limit("MemoryMax", container.memory_max.as_ref().map(|limit| limit.as_str()));
    limit("MemoryHigh", container.memory_high.as_ref().map(|limit| limit.as_str()));
    limit("CPUQuota", container.cpu_quota.as_ref().map(|limit| limit.as_str()));
    limit("CPUWeight", container.cpu_weight.as_ref().map(|limit| limit.as_str()));
    limit("IOWeight", container.io_weight.as_ref().map(|limit| limit.as_str()));
    limit("TasksMax", container.tasks_max.as_ref().map(|limit| limit.as_str()));
    // For the container's first process alone, if nspawn can set it; within a user namespace it inherits nspawn's.
    if let Some(score) = container.oom_score_adjust.filter(|_| container.in_user_namespace()) {
        service.set("OOMScoreAdjust", score.get().to_string());
    }
    // The template allows these two itself from systemd 257 on.
    for (_, path) in [(container.tun, TUN), (container.fuse, FUSE)].iter().filter(|(needed, _)| *needed) {
        service.set("DeviceAllow", format!("{path} rwm"));
    }
    let log = Some((KMSG, Permissions::READ)).filter(|_| container.kernel_log);
    let devices = container.devices.iter().map(|device| (device.path.as_str(), device.permissions));
    for (path, permissions) in devices.chain(log) {
        // --prepare makes a copy of the node for a user namespace, where nothing else can make one.
        let permissions = if container.in_user_namespace() { permissions.and_make() } else { permissions };
        service.set(
            "DeviceAllow",
            format!("{} {permissions}", escape::requires_mounts_for(&single_slashes(path))?),
        );
    }
    Ok(())
}

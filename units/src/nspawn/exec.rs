//! The part of [Exec] that the container's first process is started with: capabilities, names, time zone, resolver,
//! environment, its own limits.

use crate::intent::{Capabilities, Capability, Container};
use systemd_unit_syntax::Section;
use systemd_unit_syntax::escape::{self, EscapeError};

/// Adds the settings of the options that are set.
pub(super) fn set(exec: &mut Section, container: &Container) -> Result<(), EscapeError> {
    let Capabilities { add, drop } = &container.capabilities;
    let mut added: Vec<&str> = add.iter().map(Capability::as_str).collect();
    // syslog(2) and, where kernel.dmesg_restrict is set, /dev/kmsg require it.
    if container.kernel_log && !added.contains(&"CAP_SYSLOG") && !added.contains(&"all") {
        added.push("CAP_SYSLOG");
    }
    if !added.is_empty() {
        exec.set("Capability", added.join(" "));
    }
    if !drop.is_empty() {
        let dropped: Vec<&str> = drop.iter().map(Capability::as_str).collect();
        exec.set("DropCapability", dropped.join(" "));
    }
    if let Some(hostname) = &container.hostname {
        exec.set("Hostname", hostname.as_str());
    }
    if let Some(timezone) = container.timezone {
        exec.set("Timezone", timezone.as_str());
    }
    if let Some(resolv_conf) = container.resolv_conf {
        exec.set("ResolvConf", resolv_conf.as_str());
    }
    for (name, value) in container.environment.iter() {
        exec.set("Environment", escape::nspawn_word(&format!("{name}={value}"))?);
    }
    // Within a user namespace nspawn fails on it ("Permission denied", systemd 257–262): see service/limits.rs.
    if let Some(score) = container.oom_score_adjust.filter(|_| !container.in_user_namespace()) {
        exec.set("OOMScoreAdjust", score.get().to_string());
    }
    for (name, limit) in container.rlimits.iter() {
        exec.set(format!("Limit{name}"), limit.as_str());
    }
    Ok(())
}

//! What machined has written down of a running container, which anyone may read without a program.

use std::fs;
use std::time::{Duration, SystemTime};

use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;

/// Returns the PID of the container's init on the host.
pub(crate) fn leader(host: &Host, name: &MachineName) -> Option<u32> {
    value(&text(host, name)?, "LEADER=")?.try_into().ok()
}

/// Returns when the container was registered, which is when it was started (`Since:` of `machinectl status`). `None` also
/// if that lies ahead, since the clock has been set back.
pub(crate) fn started(host: &Host, name: &MachineName) -> Option<SystemTime> {
    let microseconds = value(&text(host, name)?, "REALTIME=")?;
    let started = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(microseconds))?;
    (started <= SystemTime::now()).then_some(started)
}

fn text(host: &Host, name: &MachineName) -> Option<String> {
    fs::read_to_string(host.registered(name)).ok()
}

fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.parse().ok())
}

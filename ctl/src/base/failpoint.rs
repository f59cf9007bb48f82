//! Failpoints: places at which tests kill the program, to see how the next command recovers. They exist only in
//! builds with the feature `failpoints`.

/// Kills the program here, as a power failure would, if `NIXOS_NSPAWN_FAIL_AT` names this failpoint.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(place: &str) {
    if std::env::var("NIXOS_NSPAWN_FAIL_AT").is_ok_and(|wanted| wanted == place) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing in builds without failpoints.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_place: &str) {}

//! Places at which tests kill the program, to see what the next command makes of it. Only builds with the feature
//! `failpoints` have them; in all others this is nothing.

/// Kills the program here, as a power failure would, if `NIXOS_NSPAWN_FAIL_AT` names this place.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(place: &str) {
    if std::env::var("NIXOS_NSPAWN_FAIL_AT").is_ok_and(|wanted| wanted == place) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_place: &str) {}

//! Places at which tests kill the program, to see what the next command makes of it. Only builds with the feature
//! `stop-points` have them; in all others this is nothing.

/// Kills the program here, as a power failure would, if `NIXOS_NSPAWN_STOP_AT` names this place.
#[cfg(feature = "stop-points")]
pub(crate) fn stop_point(place: &str) {
    if std::env::var("NIXOS_NSPAWN_STOP_AT").is_ok_and(|wanted| wanted == place) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(feature = "stop-points"))]
pub(crate) fn stop_point(_place: &str) {}

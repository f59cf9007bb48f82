//! SIGINT, SIGTERM and SIGHUP end the program that is being waited for, and then the command, which cleans up. They
//! are deferred during the clean-up; after SIGKILL the next command recovers (see host/record.rs).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static CLEANING: AtomicBool = AtomicBool::new(false);

/// Installs the signal handlers; until then the signals simply end the program.
pub(crate) fn listen() -> anyhow::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Returns whether a signal has arrived and is not deferred.
pub(crate) fn wanted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst) && !CLEANING.load(Ordering::SeqCst)
}

/// Fails if a signal has arrived.
pub(crate) fn check() -> anyhow::Result<()> {
    if wanted() {
        anyhow::bail!("interrupted");
    }
    Ok(())
}

/// Defers signals while an unfinished change is reverted.
pub(crate) fn clean_up_begins() {
    CLEANING.store(true, Ordering::SeqCst);
}

/// Stops deferring signals; one that arrived meanwhile takes effect.
pub(crate) fn clean_up_ends() {
    CLEANING.store(false, Ordering::SeqCst);
}

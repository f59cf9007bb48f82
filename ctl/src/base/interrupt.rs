//! SIGINT, SIGTERM and SIGHUP end the program that is being waited for, and then the command, which cleans up. They
//! are deferred during the clean-up; after SIGKILL the next command recovers (see host/record.rs).

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

thread_local! {
    /// Whether this thread reverts a change: others still end.
    static CLEANING: Cell<bool> = const { Cell::new(false) };
}

/// Installs the signal handlers; until then the signals simply end the program.
pub(crate) fn listen() -> anyhow::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Returns whether a signal has arrived and is not deferred.
pub(crate) fn wanted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst) && !CLEANING.get()
}

/// Fails if a signal has arrived.
pub(crate) fn check() -> anyhow::Result<()> {
    if wanted() {
        anyhow::bail!("interrupted");
    }
    Ok(())
}

/// Defers signals in this thread while an unfinished change is reverted.
pub(crate) fn clean_up_begins() {
    CLEANING.set(true);
}

/// Stops deferring signals; one that arrived meanwhile takes effect.
pub(crate) fn clean_up_ends() {
    CLEANING.set(false);
}

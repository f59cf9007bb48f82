//! SIGINT, SIGTERM and SIGHUP: they end the program that is being waited for, and then the command, which cleans up. During
//! the clean-up they wait; SIGKILL is answered by the next command (see [`crate::host::record`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static CLEANING: AtomicBool = AtomicBool::new(false);

/// Starts listening. Before it, the signals just end the program.
pub(crate) fn listen() -> anyhow::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Whether a signal has come that is to be heeded now.
pub(crate) fn wanted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst) && !CLEANING.load(Ordering::SeqCst)
}

/// Fails once a signal has come.
pub(crate) fn check() -> anyhow::Result<()> {
    if wanted() {
        anyhow::bail!("interrupted");
    }
    Ok(())
}

/// From here on signals wait: what was begun is taken back.
pub(crate) fn clean_up_begins() {
    CLEANING.store(true, Ordering::SeqCst);
}

/// What was begun is taken back: a signal that came meanwhile counts again.
pub(crate) fn clean_up_ends() {
    CLEANING.store(false, Ordering::SeqCst);
}

//! SIGINT and SIGTERM: they end the program that is being waited for, and then the command, which cleans up. During
//! the clean-up they wait; SIGKILL is answered by the next command (see [`crate::record`]).

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static CLEANING: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicI32 = AtomicI32::new(0);

/// Starts listening. Before it, the signals just end the program.
pub(crate) fn listen() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            if CLEANING.load(Ordering::SeqCst) {
                continue;
            }
            if let Some(child) = Pid::from_raw(CHILD.load(Ordering::SeqCst)) {
                // With what it has started itself.
                let _ = kill_process_group(child, Signal::TERM);
            }
        }
    });
    Ok(())
}

/// Fails once a signal has come.
pub(crate) fn check() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) && !CLEANING.load(Ordering::SeqCst) {
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

/// The program that is being waited for; 0 for none.
pub(crate) fn waiting_for(child: i32) {
    CHILD.store(child, Ordering::SeqCst);
}

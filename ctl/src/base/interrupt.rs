//! SIGINT and SIGTERM end the program that is being waited for, and then the command, which cleans up. They are
//! deferred during the clean-up; after SIGKILL the next command recovers (see host/record.rs).

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static CLEANING: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicI32 = AtomicI32::new(0);
static ASKS: AtomicBool = AtomicBool::new(false);

/// Installs the signal handlers; until then the signals simply end the program.
pub(crate) fn listen() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            if CLEANING.load(Ordering::SeqCst) {
                continue;
            }
            end(CHILD.load(Ordering::SeqCst), ASKS.load(Ordering::SeqCst), Signal::TERM);
        }
    });
    Ok(())
}

/// Fails if a signal has arrived.
pub(crate) fn check() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) && !CLEANING.load(Ordering::SeqCst) {
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

/// Sets the program that is being waited for (0 for none) and whether it is in our process group.
pub(crate) fn waiting_for(child: i32, asks: bool) {
    ASKS.store(asks, Ordering::SeqCst);
    CHILD.store(child, Ordering::SeqCst);
}

/// Signals a program, or its whole process group if it has its own. A stopped one is continued so that it can handle
/// the signal.
pub(crate) fn end(child: i32, asks: bool, signal: Signal) {
    let Some(child) = Pid::from_raw(child) else { return };
    for signal in [signal, Signal::CONT] {
        let _ = if asks { kill_process(child, signal) } else { kill_process_group(child, signal) };
    }
}

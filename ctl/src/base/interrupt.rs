//! SIGINT and SIGTERM: they end the program that is being waited for, and then the command, which cleans up. During
//! the clean-up they wait; SIGKILL is answered by the next command (see [`crate::record`]).

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static CLEANING: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicI32 = AtomicI32::new(0);
static ASKS: AtomicBool = AtomicBool::new(false);

/// Starts listening. Before it, the signals just end the program.
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

/// The program that is being waited for, 0 for none; whether it is in our own process group.
pub(crate) fn waiting_for(child: i32, asks: bool) {
    ASKS.store(asks, Ordering::SeqCst);
    CHILD.store(child, Ordering::SeqCst);
}

/// Ends a program, and what it has started where it has a group of its own. One that is stopped takes no signal but these.
pub(crate) fn end(child: i32, asks: bool, signal: Signal) {
    let Some(child) = Pid::from_raw(child) else { return };
    for signal in [signal, Signal::CONT] {
        let _ = if asks { kill_process(child, signal) } else { kill_process_group(child, signal) };
    }
}

//! Counts injected faults and collects the damage they did.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::fault::Fault;

/// The injected faults, and the damage.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Commands that were killed.
    pub kills: usize,
    /// Commands that were interrupted by SIGINT or SIGTERM.
    pub signals: usize,
    /// Commands with a failed call.
    pub errors: usize,
    /// Commands without the fault, which ended before it.
    pub missed: usize,
    /// The damage, each with the command and the call.
    pub wrong: Vec<String>,
}

impl Counts {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.signals += other.signals;
        self.errors += other.errors;
        self.missed += other.missed;
        self.wrong.extend(other.wrong);
    }

    /// Counts a fault if there is evidence that it was injected: strace's log, and for SIGKILL the death as well.
    pub fn count(&mut self, fault: Fault, injected: bool, killed: bool) {
        *match fault {
            _ if !injected => &mut self.missed,
            Fault::Signal("SIGKILL") if killed => &mut self.kills,
            Fault::Signal("SIGKILL") => &mut self.missed,
            Fault::Signal(_) => &mut self.signals,
            Fault::Error(_) | Fault::Errors(_) => &mut self.errors,
        } += 1;
    }

    /// Returns the number of faults.
    pub fn faults(&self) -> usize {
        self.kills + self.signals + self.errors
    }

    /// Panics with the damage, if there is any.
    pub fn assert_nothing_wrong(&self) {
        assert!(self.wrong.is_empty(), "{self}\n{}", self.wrong.join("\n"));
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} kills, {} signals, {} errors ({} ended before): {} wrong",
            self.kills,
            self.signals,
            self.errors,
            self.missed,
            self.wrong.len()
        )
    }
}

/// Runs a job for each item, one per processor in parallel, and adds up the counts.
pub fn in_parallel<T: Sync>(items: &[T], job: impl Fn(&T) -> Counts + Sync) -> Counts {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Counts::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let counts = job(item);
                    all.lock().expect("no panic while held").add(counts);
                }
            });
        }
    });
    all.into_inner().expect("no panic while held")
}

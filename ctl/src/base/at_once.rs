//! Runs tasks in parallel threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Calls `one` for each item and its index, at most `jobs` in parallel. Each thread takes the next item that no other
/// has taken. If a limit allows no further threads, fewer items are handled in parallel.
pub(crate) fn at_once<T: Sync>(items: &[T], jobs: usize, one: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            one(at, item);
        }
    };
    thread::scope(|scope| {
        // This thread works as well.
        for _ in 1..jobs.min(items.len()) {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[test]
    fn each_item_is_taken_once() {
        at_once(&[0_u8; 0], 4, |_, _| unreachable!());
        for jobs in [0, 1, 3, 9] {
            let seen = Mutex::new(Vec::new());
            at_once(&[10, 20, 30, 40], jobs, |at, item| seen.lock().unwrap().push((at, *item)));
            let mut seen = seen.into_inner().unwrap();
            if jobs > 1 {
                seen.sort_unstable();
            }
            assert_eq!(seen, [(0, 10), (1, 20), (2, 30), (3, 40)], "{jobs} jobs");
        }
    }

    #[test]
    fn jobs_run_in_parallel() {
        let all = Barrier::new(4);
        at_once(&[1, 2, 3, 4], 4, |_, _| {
            all.wait();
        });
    }
}

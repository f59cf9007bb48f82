//! Runs tasks in parallel threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls `one` for each item, at most `jobs` in parallel, and returns the results in the order of the items. Each
/// thread takes the next item that no other has taken. If a limit allows no further threads, there are fewer in parallel.
pub(crate) fn at_once<T: Sync, R: Send>(items: &[T], jobs: usize, one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::default();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            let result = one(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
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
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn results_are_in_order_and_time_is_shared() {
        assert_eq!(at_once(&[0_u8; 0], 4, |item| *item), [0; 0]);
        let begun = Instant::now();
        let slow = |item: &u64| {
            thread::sleep(Duration::from_millis(200 - 20 * item));
            item * 2
        };
        assert_eq!(at_once(&[1, 2, 3, 4], 4, slow), [2, 4, 6, 8]);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        assert_eq!(at_once(&[1, 2, 3], 1, |item| item + 1), [2, 3, 4]);
    }
}

//! Works on the parts of a long list at once. PID 1 waits for the generators, and other processors are mostly idle then.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

use rustix::thread::sched_getaffinity;

/// How many items are a part. A thread for fewer would take longer to start than they take.
const PART: usize = 50;

/// The most threads of one call. More of them mostly wait for each other, since they write to the same directories.
const MOST: u32 = 4;

/// Calls `work` with each part of a list and returns the results in order. Each thread takes the next part when it is done
/// with one. If the kernel refuses a thread, the others do its work; the calling one is among them.
pub(crate) fn in_parts<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a [T]) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take_parts = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match items.chunks(PART).nth(at) {
                Some(part) => done.push((at, work(part))),
                None => return done,
            }
        }
    };
    let count = items.len().div_ceil(PART);
    let helpers = if count > 1 { processors().min(count) - 1 } else { 0 };
    let mut done = scope(|scope| {
        let threads: Vec<_> =
            (0..helpers).filter_map(|_| Builder::new().spawn_scoped(scope, take_parts).ok()).collect();
        let mut done = take_parts();
        for thread in threads {
            done.append(&mut thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Returns how many processors this process may use, as far as threads are worth it. The standard library would also read
/// the limits of the control group, from files.
fn processors() -> usize {
    let allowed = sched_getaffinity(None).map_or(1, |set| set.count());
    allowed.clamp(1, MOST) as usize
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn every_item_comes_once_and_in_order() {
        for count in [0, 1, PART, PART + 1, 1001] {
            let items: Vec<usize> = (0..count).collect();
            let parts = in_parts(&items, |part| part.to_vec());
            assert_eq!(parts.concat(), items);
            assert_eq!(parts.len(), count.div_ceil(PART));
        }
    }

    #[test]
    fn a_panic_in_a_part_is_one_of_the_caller() {
        let items = [0; 4 * PART];
        let caught = catch_unwind(AssertUnwindSafe(|| in_parts(&items, |_| panic!("a part"))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"a part"));
    }
}

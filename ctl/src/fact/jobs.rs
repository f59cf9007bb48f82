//! The number of builds that this machine can run in parallel.

use std::fs;

/// The memory for the evaluation of one NixOS system, in KiB.
const EVALUATION: usize = 1 << 20;

/// Returns the number of cores, or fewer if memory is short.
pub(crate) fn possible() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    available(&memory).map_or(1, |free| cores.min(free / EVALUATION)).max(1)
}

/// Returns `MemAvailable` of proc_meminfo(5), in KiB.
fn available(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_is_available() {
        assert_eq!(available("MemTotal:  9 kB\nMemAvailable:   8123456 kB\n"), Some(8_123_456));
        assert_eq!(available(""), None);
        assert!(possible() >= 1);
    }
}

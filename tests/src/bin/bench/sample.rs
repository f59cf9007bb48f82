//! What one run of a program took.

/// One run: elapsed nanoseconds, nanoseconds of processor time, and peak memory in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) time: u64,
    pub(crate) processor: u64,
    pub(crate) memory: u64,
}

pub(crate) fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> f64 {
    let mut numbers: Vec<u64> = samples.iter().map(of).collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2] as f64
}

//! The generator on 0, 10, 100 and 1000 containers, compared with other programs.

use crate::input::Input;
use crate::sample::{Sample, median};
use crate::tools::Tools;

/// Number of containers, and number of runs of each program. Runs are made in rounds, so that other load affects all alike.
const SIZES: [(usize, u32); 4] = [(0, 200), (10, 100), (100, 40), (1000, 10)];
const ROUNDS: u32 = 10;

/// Prints the times, the memory and the ratios of this run.
pub(crate) fn generator(tools: &Tools) {
    println!(
        "{:>7}  {:<10} {:>9} {:>8} {:>8} {:>9} {:>8} {:>7}",
        "count", "program", "ms", "x true", "x floor", "cpu ms", "x floor", "KiB"
    );
    for (count, runs) in SIZES {
        let input = Input::new(count);
        let mut programs = vec![("true", vec!["/bin/true".to_owned()]), ("floor", input.floor(tools))];
        programs.push(("generator", input.generator()));
        programs.extend(tools.quadlet.as_ref().map(|words| ("quadlet", input.quadlet(words))));
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); programs.len()];
        for _ in 0..ROUNDS {
            for ((_, words), samples) in programs.iter().zip(&mut samples) {
                samples.extend(input.measure(tools, runs, words));
            }
        }
        let times: Vec<f64> = samples.iter().map(|samples| median(samples, |sample| sample.time)).collect();
        let processor: Vec<f64> =
            samples.iter().map(|samples| median(samples, |sample| sample.processor)).collect();
        for (at, (name, _)) in programs.iter().enumerate() {
            let memory = samples[at].iter().map(|sample| sample.memory).max().unwrap_or_default();
            let (by_true, by_floor) = (times[at] / times[0], times[at] / times[1]);
            println!(
                "{count:>7}  {name:<10} {:>9.3} {by_true:>8.2} {by_floor:>8.2} {:>9.3} {:>8.2} {memory:>7}",
                times[at] / 1e6,
                processor[at] / 1e6,
                processor[at] / processor[1]
            );
        }
    }
    println!(
        "aims: generator at most 1.3 x true for 0; at most 1.2 x floor and 0.4 x quadlet for 1000; at most 8192 KiB"
    );
}

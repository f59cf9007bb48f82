//! Runs commands in turn, for `make bench`, so that the load of other programs affects all alike. Argument: the number of
//! rounds. Standard input: a command a line, words separated by tabs, the first word a label; commands with the label `-`
//! only prepare the next one. Prints a line for each run: label, elapsed nanoseconds, nanoseconds of processor time of the
//! command with its children, and those of PID 1 meanwhile.

use std::error::Error;
use std::fs;
use std::io::read_to_string;
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: u32 = std::env::args().nth(1).ok_or("usage: alternate ROUNDS < COMMANDS")?.parse()?;
    let text = read_to_string(std::io::stdin())?;
    for _ in 0..rounds {
        for line in text.lines() {
            let mut words = line.split('\t');
            let (Some(label), Some(program)) = (words.next(), words.next()) else { continue };
            let mut command = Command::new(program);
            command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
            let manager = manager_time();
            let begin = Instant::now();
            let ended = command.spawn()?.wait4()?;
            let time = begin.elapsed().as_nanos();
            if !ended.status.success() {
                return Err(format!("{line}: {}", ended.status).into());
            }
            if label != "-" {
                let processor = (ended.rusage.utime + ended.rusage.stime).as_nanos();
                println!("{label}\t{time}\t{processor}\t{}", manager_time().saturating_sub(manager));
            }
        }
    }
    Ok(())
}

/// Returns the nanoseconds of processor time that PID 1 has used (`proc_pid_schedstat(5)`).
fn manager_time() -> u64 {
    let text = fs::read_to_string("/proc/1/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

//! Runs a program many times, for `make bench`: number of runs, an output folder and a command go in; a line for each run
//! comes out, with nanoseconds passed, nanoseconds of processor time, and peak memory in KiB. The folder is emptied before each run, as PID 1 does it. This is
//! a program of its own because a process counts the memory of the one that started it until it executes another.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: measure RUNS FOLDER COMMAND…");
    let (runs, folder, program): (u32, String, String) = (next()?.parse()?, next()?, next()?);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for _ in 0..runs {
        fs::remove_dir_all(&folder)?;
        fs::create_dir(&folder)?;
        let begin = Instant::now();
        let mut child = command.spawn()?;
        let ended = child.wait4()?;
        let time = begin.elapsed();
        if !ended.status.success() {
            return Err(format!("it failed: {}", ended.status).into());
        }
        let processor = ended.rusage.utime + ended.rusage.stime;
        println!("{} {} {}", time.as_nanos(), processor.as_nanos(), ended.rusage.maxrss / 1024);
    }
    Ok(())
}

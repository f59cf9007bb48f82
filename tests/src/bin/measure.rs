//! Runs a program many times, for `make bench`. Arguments: number of runs, output directory, command. Prints a line for
//! each run: elapsed nanoseconds, nanoseconds of processor time, peak memory in KiB. The directory is emptied before each
//! run, as PID 1 does. This is a separate program because until it calls exec, a child counts the memory of its parent.

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
        // The generator exits with 1 if it refuses something.
        if !matches!(ended.status.code(), Some(0 | 1)) {
            return Err(format!("it failed: {}", ended.status).into());
        }
        let processor = ended.rusage.utime + ended.rusage.stime;
        println!("{} {} {}", time.as_nanos(), processor.as_nanos(), ended.rusage.maxrss / 1024);
    }
    Ok(())
}

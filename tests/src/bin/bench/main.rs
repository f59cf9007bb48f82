//! `make bench`: measures the generator on 0, 10, 100 and 1000 containers, and compares it with /bin/true, with a program
//! that does the same input and output but nothing else (floor.rs), and, if installed, with podman's generator on as many
//! containers. Prints median times, peak memory, and ratios within this run; then the slowest file of 1 MiB for each field
//! of an intent. No test depends on them.

mod generator;
mod input;
mod sample;
mod tools;
mod worst;

use crate::generator::generator;
use crate::tools::Tools;
use crate::worst::worst;

fn main() {
    let tools = Tools::build();
    if std::env::args().nth(1).as_deref() == Some("worst") {
        return worst(&tools);
    }
    generator(&tools);
    worst(&tools);
    if tools.quadlet.is_none() {
        println!("podman's quadlet generator is not installed (QUADLET='COMMAND…' names one), left out");
    }
}

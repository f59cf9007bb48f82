//! `make bench`: measures the generator on 0, 10, 100 and 1000 containers, and compares it with /bin/true, with a program
//! that does the same input and output but nothing else (floor.rs), and, if installed, with podman's generator on as many
//! containers. Prints median times, peak memory, and ratios within this run; then the slowest file of 1 MiB for each field
//! of an intent; then commands on a host with many containers, and on one with 20 that run. An argument selects one part:
//! generator, worst, scale, running. No test depends on them.

mod generator;
mod input;
mod running;
mod sample;
mod scale;
mod tools;
mod turns;
mod worst;

use crate::generator::generator;
use crate::running::running;
use crate::scale::scale;
use crate::tools::Tools;
use crate::worst::worst;

fn main() {
    let tools = Tools::build();
    let wanted = std::env::args().nth(1);
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    if is_wanted("generator") {
        generator(&tools);
        if tools.quadlet.is_none() {
            println!("podman's quadlet generator is not installed (QUADLET='COMMAND…' names one), left out");
        }
    }
    if is_wanted("worst") {
        worst(&tools);
    }
    if is_wanted("scale") {
        scale(&tools);
    }
    if is_wanted("running") {
        running(&tools);
    }
}

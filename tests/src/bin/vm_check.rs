//! Cuts the power of virtual machines while commands run, and checks what only a kernel of its own shows. Exits with 1 if
//! anything was lost or a check failed, and if nothing was checked.
//!
//! NIXOS_NSPAWN_VM_PARTS selects cuts or kernel, NIXOS_NSPAWN_VM_SUITES the hosts (trixie, forky), and
//! NIXOS_NSPAWN_VM_FILE_SYSTEMS the file systems of the cuts (ext4, btrfs); all of them by default. NIXOS_NSPAWN_VM_CUTS
//! is the number of cuts in all (40), and NIXOS_NSPAWN_VM_SEED makes a run repeat the moments of another one.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use nixos_nspawn_tests::host::Suite;
use nixos_nspawn_tests::torture::choice::chosen;
use nixos_nspawn_tests::vm::checks::{self, Checks};
use nixos_nspawn_tests::vm::cuts::{self, Chain, Cuts};
use nixos_nspawn_tests::vm::{FileSystem, Image};

/// The number of machines that run at the same time.
const AT_ONCE: usize = 2;

/// Something for one machine.
enum Job {
    Cuts { suite: Suite, file_system: FileSystem, seed: u64, first: usize, count: usize },
    Kernel(Suite),
}

fn main() -> ExitCode {
    match jobs() {
        Ok(jobs) => run(&jobs),
        Err(wrong) => {
            eprintln!("vm_check: {wrong}");
            ExitCode::from(2)
        }
    }
}

/// Returns what was chosen, the longest jobs first.
fn jobs() -> Result<Vec<Job>, String> {
    let parts = words("NIXOS_NSPAWN_VM_PARTS", &["cuts", "kernel"])?;
    let suites = words("NIXOS_NSPAWN_VM_SUITES", &Suite::ALL.map(Suite::name))?;
    let systems = words("NIXOS_NSPAWN_VM_FILE_SYSTEMS", &FileSystem::ALL.map(FileSystem::name))?;
    let count = number("NIXOS_NSPAWN_VM_CUTS")?.unwrap_or(40) as usize;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = number("NIXOS_NSPAWN_VM_SEED")?.unwrap_or(now);
    println!("seed {seed}: NIXOS_NSPAWN_VM_SEED={seed} cuts at the same moments again");
    let has = |list: &[String], word: &str| list.iter().any(|one| one == word);
    let suites = Suite::ALL.into_iter().filter(|suite| has(&suites, suite.name()));
    let mut jobs = Vec::new();
    if has(&parts, "cuts") {
        let all = suites.clone().flat_map(|suite| FileSystem::ALL.map(|file_system| (suite, file_system)));
        let all: Vec<_> = all.filter(|(_, file_system)| has(&systems, file_system.name())).collect();
        for (at, (suite, file_system)) in all.iter().copied().enumerate() {
            let (first, end) = (count * at / all.len(), count * (at + 1) / all.len());
            let seed = seed.wrapping_add(at as u64);
            jobs.push(Job::Cuts { suite, file_system, seed, first: at * cuts::CASES, count: end - first });
        }
    }
    if has(&parts, "kernel") {
        jobs.extend(suites.map(Job::Kernel));
    }
    Ok(jobs)
}

fn run(jobs: &[Job]) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Cuts::default(), Checks::default()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (cuts, checks) = one(job);
                    let mut all = results.lock().expect("no panic while held");
                    all.0.add(cuts);
                    all.1.add(checks);
                }
            });
        }
    });
    let (cuts, checks) = results.into_inner().expect("no panic while held");
    let (count, failed) = checks.counts();
    for wrong in &cuts.wrong {
        println!("wrong: {wrong}");
    }
    println!(
        "{:>5} s  {cuts}; {count} checks on a kernel of its own: {failed} failed",
        begun.elapsed().as_secs()
    );
    let nothing = cuts.all() + count == 0;
    if nothing {
        println!("wrong: nothing was checked");
    }
    if nothing || failed > 0 || !cuts.wrong.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn one(job: &Job) -> (Cuts, Checks) {
    match job {
        Job::Cuts { suite, file_system, seed, first, count } => {
            let image = Image::make(*suite, *file_system, &cuts::flake());
            let cuts = Chain::new(&image, *seed).run(*first, *count);
            println!("        {suite}, {file_system}: {cuts}");
            (cuts, Checks::default())
        }
        Job::Kernel(suite) => {
            let image = Image::make(*suite, FileSystem::Ext4, &checks::flake());
            (Cuts::default(), checks::run(&image))
        }
    }
}

/// Returns the words that a list in the environment chooses.
fn words(variable: &str, known: &[&str]) -> Result<Vec<String>, String> {
    let known: Vec<String> = known.iter().map(|word| (*word).to_owned()).collect();
    chosen(variable, std::env::var(variable).ok().as_deref(), &known)
}

/// Returns a number from the environment.
fn number(variable: &str) -> Result<Option<u64>, String> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{variable}: '{text}' is not a number"))
}

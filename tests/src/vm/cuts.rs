//! Power cuts. A machine is prepared for a command and saved with its memory. Each cut continues it, begins the command and
//! kills qemu at a random moment. What is then on the disk is booted as a throwaway host, which is many times faster than
//! an emulated machine, and examined there. One cut of each chain is booted in the machine as well, with everything that is
//! enabled on the host.
//!
//! Lost is what the guest had not written to its disk, and what it had written to new blocks without flushing them: qemu
//! keeps their positions in memory until a flush.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::examine::{Case, booted, examine};
use super::image::Image;
use super::machine::Vm;
use super::qemu::Boot;
use super::verbs::{Verb, containers, ctl, state};
use crate::host::{FLAKE, Host};
use crate::random::Random;

/// The number of cases after which each command was cut once.
pub const CASES: usize = Verb::ALL.len();

/// The number of cuts in each command.
const REPEATS: usize = 2;

/// Cuts, and the damage they did.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// Cuts while the command was running.
    pub during: usize,
    /// Cuts within half a second of its successful end.
    pub after: usize,
    /// Cuts after which the machine itself was booted again.
    pub machines: usize,
    /// The damage, each with the command.
    pub wrong: Vec<String>,
}

impl Cuts {
    /// Adds the counts of another chain.
    pub fn add(&mut self, other: Self) {
        self.during += other.during;
        self.after += other.after;
        self.machines += other.machines;
        self.wrong.extend(other.wrong);
    }

    /// Returns the number of cuts.
    pub fn all(&self) -> usize {
        self.during + self.after
    }
}

impl fmt::Display for Cuts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} power cuts, {} of them during a command and {} right after its end, {} booted by the machine: {} wrong",
            self.all(),
            self.during,
            self.after,
            self.machines,
            self.wrong.len()
        )
    }
}

/// Returns the containers that an image for cuts has built.
pub fn flake() -> String {
    containers(false, "round 0\n").to_string()
}

/// A sequence of commands on one machine.
pub struct Chain<'a> {
    image: &'a Image,
    random: Random,
    /// The disk of the saved machine.
    saved: PathBuf,
    /// The estimates of the time that each command takes, for stopped and running containers.
    times: [[Duration; 2]; CASES],
    begun: Instant,
}

impl<'a> Chain<'a> {
    /// Returns a chain on an image.
    pub fn new(image: &'a Image, seed: u64) -> Self {
        let saved = image.dir().join("saved");
        Self {
            image,
            random: Random::new(seed),
            saved,
            times: [[Duration::ZERO; 2]; CASES],
            begun: Instant::now(),
        }
    }

    /// Makes `count` cuts, starting with case `first`. Ends early if the machine can no longer be used.
    pub fn run(mut self, first: usize, count: usize) -> Cuts {
        let mut cuts = Cuts::default();
        if let Err(error) = self.prepare() {
            self.report(&mut cuts, "preparation", vec![error]);
            return cuts;
        }
        for number in (first..).take(count.div_ceil(REPEATS)) {
            let case = match self.case(number) {
                Ok(case) => case,
                Err(error) => {
                    self.report(&mut cuts, "preparation", vec![error]);
                    return cuts;
                }
            };
            for repeat in 0..REPEATS.min(count - cuts.all()) {
                match self.cut(&case) {
                    Ok(ended) => {
                        *if ended { &mut cuts.after } else { &mut cuts.during } += 1;
                        let mut wrong = self.booted(&case, ended).unwrap_or_else(|error| vec![error]);
                        // A full boot takes minutes. Another command in each chain.
                        if repeat == 0 && number / CASES == number % CASES {
                            cuts.machines += 1;
                            wrong.extend(self.booted_here(&case).unwrap_or_else(|error| vec![error]));
                        }
                        self.report(&mut cuts, &case.words, wrong);
                    }
                    Err(error) => {
                        self.report(&mut cuts, &case.words, vec![error]);
                        return cuts;
                    }
                }
            }
        }
        cuts
    }

    /// Boots the image and creates the containers that must not change.
    fn prepare(&mut self) -> Result<(), String> {
        let mut vm = Vm::boot(self.image, &self.image.disk(), &self.saved, Boot::Small)?;
        ctl(&mut vm, "setup")?;
        for (started, words) in ["stopped --no-start", "calm"].into_iter().enumerate() {
            let begun = Instant::now();
            ctl(&mut vm, &format!("create {words} --flake {FLAKE}"))?;
            for times in &mut self.times {
                times[started] = begun.elapsed();
            }
        }
        vm.save()
    }

    /// Prepares a command.
    fn case(&mut self, number: usize) -> Result<Case, String> {
        let verb = Verb::ALL[number % CASES];
        let started = (number + number / CASES) % 2 == 1;
        let mut vm = Vm::resume(self.image, &self.saved)?;
        let words = verb.prepare(&mut vm, started, 2 * number + 2)?;
        let before = state(&mut vm)?;
        vm.save()?;
        Ok(Case { number, verb, started, words, before })
    }

    /// Begins a command, and cuts the power at a random moment of it, or right after its end. Returns whether it had ended.
    fn cut(&mut self, case: &Case) -> Result<bool, String> {
        let disk = self.image.dir().join("cut");
        fs::copy(&self.saved, &disk).map_err(|error| format!("{}: {error}", disk.display()))?;
        let mut vm = Vm::resume(self.image, &disk)?;
        let time = &mut self.times[case.number % CASES][usize::from(case.started)];
        // A quarter of the moments is behind the end.
        let moment = Duration::from_millis(self.random.below(time.as_millis() as u64 * 4 / 3 + 1));
        let begun = Instant::now();
        vm.begin(&format!("nixos-nspawn {}", case.words))?;
        let reply = vm.reply_within(moment)?;
        let taken = begun.elapsed();
        let ended = reply.is_some();
        match reply {
            Some(reply) if reply.status != 0 => {
                return Err(format!("before any cut: {}", reply.text()));
            }
            Some(_) => {
                *time = taken;
                thread::sleep(Duration::from_millis(self.random.below(500)));
            }
            None => *time = taken.max(*time),
        }
        vm.cut();
        let place = if ended { "after its end at" } else { "at" };
        println!(
            "{:>5} s  {}: {}: cut {place} {:.1} s",
            self.seconds(),
            self.name(),
            case.words,
            taken.as_secs_f64()
        );
        Ok(ended)
    }

    /// Boots what is on the disk, and returns what is wrong there.
    fn booted(&self, case: &Case, ended: bool) -> Result<Vec<String>, String> {
        let raw = self.image.dir().join("raw");
        let cut = self.image.dir().join("cut");
        let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).args([&cut, &raw]).status();
        assert!(converted.expect("qemu-img").success(), "{}: cannot be converted", cut.display());
        // The harness panics if a host does not boot, or if a command takes too long.
        let examined = catch_unwind(AssertUnwindSafe(|| {
            let mut host = Host::boot_disk(self.image.suite, &raw);
            examine(&mut host, case, ended)
        }));
        let _ = fs::remove_file(&raw);
        examined.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(format!("the host: {}", text.unwrap_or("a panic")))
        })
    }

    /// Boots what is on the disk in the machine, with all units, and returns what is wrong there.
    fn booted_here(&self, case: &Case) -> Result<Vec<String>, String> {
        let (cut, disk) = (self.image.dir().join("cut"), self.image.dir().join("again"));
        let mut vm = Vm::boot(self.image, &cut, &disk, Boot::Full)?;
        let wrong = booted(&mut vm, case)?;
        println!("{:>5} s  {}: {}: booted by the machine", self.seconds(), self.name(), case.words);
        drop(vm);
        let _ = fs::remove_file(&disk);
        Ok(wrong.into_iter().map(|what| format!("booted by the machine: {what}")).collect())
    }

    fn report(&self, cuts: &mut Cuts, words: &str, wrong: Vec<String>) {
        for what in wrong {
            let line = format!("{}: {words}: {what}", self.name());
            println!("{:>5} s  wrong: {line}", self.seconds());
            cuts.wrong.push(line);
        }
    }

    fn name(&self) -> String {
        format!("{}, {}", self.image.suite, self.image.file_system)
    }

    fn seconds(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }
}

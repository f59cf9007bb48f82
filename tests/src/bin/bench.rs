//! `make bench`: measures the generator on 0, 10, 100 and 1000 containers, and compares it with /bin/true, with a program
//! that does the same input and output but nothing else (floor.rs), and, if installed, with podman's generator on as many
//! containers. Prints median times, peak memory, and ratios within this run; then the slowest file of 1 MiB for each field
//! of an intent. No test depends on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::manifest::paths;
use nixos_nspawn_tests::worst::{NAME, NEIGHBOUR, cases};
use tempfile::TempDir;

/// Number of containers, and number of runs of each program. Runs are made in rounds, so that other load affects all alike.
const SIZES: [(usize, u32); 4] = [(0, 200), (10, 100), (100, 40), (1000, 10)];
const ROUNDS: u32 = 10;

struct Tools {
    floor: PathBuf,
    measure: PathBuf,
    quadlet: Option<Vec<String>>,
}

fn main() {
    let tools = Tools::build();
    if std::env::args().nth(1).as_deref() == Some("worst") {
        return worst(&tools);
    }
    println!(
        "{:>7}  {:<10} {:>9} {:>8} {:>8} {:>9} {:>8} {:>7}",
        "count", "program", "ms", "x true", "x floor", "cpu ms", "x floor", "KiB"
    );
    for (count, runs) in SIZES {
        let input = Input::new(count);
        let mut programs = vec![("true", vec!["/bin/true".to_owned()]), ("floor", input.floor(&tools))];
        programs.push(("generator", input.generator()));
        programs.extend(tools.quadlet.as_ref().map(|words| ("quadlet", input.quadlet(words))));
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); programs.len()];
        for _ in 0..ROUNDS {
            for ((_, words), samples) in programs.iter().zip(&mut samples) {
                samples.extend(input.measure(&tools, runs, words));
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
    println!("aims: generator at most 1.5 x true for 0, at most 1.3 x floor for 1000, at most 8192 KiB");
    worst(&tools);
    if tools.quadlet.is_none() {
        println!("podman's quadlet generator is not installed (QUADLET='COMMAND…' names one), left out");
    }
}

/// The worst that a field can do: the longest time and the most memory, each with the file's form.
#[derive(Default)]
struct Worst {
    time: (u64, &'static str),
    memory: (u64, &'static str),
}

/// Prints the slowest and the largest run for files of 1 MiB, by field.
fn worst(tools: &Tools) {
    let mut by_field: BTreeMap<String, Worst> = BTreeMap::new();
    let input = Input::new(0);
    let intents = input.root().join("etc/nixos-nspawn");
    fs::write(intents.join("b.json"), NEIGHBOUR).expect("written");
    for case in cases(1 << 20) {
        fs::write(intents.join(format!("{NAME}.json")), &case.text).expect("written");
        let samples = input.measure(tools, 3, &input.generator());
        let time = samples.iter().map(|sample| sample.time).min().unwrap_or_default();
        let memory = samples.iter().map(|sample| sample.memory).max().unwrap_or_default();
        let worst = by_field.entry(case.field).or_default();
        worst.time = worst.time.max((time, case.form));
        worst.memory = worst.memory.max((memory, case.form));
    }
    println!("{:>9} {:>7}  worst file of 1 MiB, by field (aims: 50 ms, 16384 KiB)", "ms", "KiB");
    let mut rows: Vec<_> = by_field.into_iter().collect();
    rows.sort_by_key(|(_, worst)| std::cmp::Reverse(worst.time));
    for (field, Worst { time: (time, slow), memory: (memory, large) }) in rows {
        let forms = if slow == large { slow.to_owned() } else { format!("{slow}; memory: {large}") };
        println!("{:>9.3} {memory:>7}  {field} ({forms})", time as f64 / 1e6);
    }
}

/// One run: elapsed nanoseconds, nanoseconds of processor time, and peak memory in KiB.
#[derive(Clone, Copy)]
struct Sample {
    time: u64,
    processor: u64,
    memory: u64,
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> f64 {
    let mut numbers: Vec<u64> = samples.iter().map(of).collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2] as f64
}

impl Tools {
    /// Builds the two helpers in the same way as the generator: release profile, static.
    fn build() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // …/TRIPLE/release/nixos-nspawn-generator
        let dir = bins().generator.parent().expect("a folder").to_owned();
        let triple = dir.parent().and_then(Path::file_name).expect("a triple").to_string_lossy();
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&workspace).args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            &triple,
        ]);
        cargo.args(["-p", "nixos-nspawn-tests", "--bin", "floor", "--bin", "measure"]);
        let status = cargo.env(flags, "-C target-feature=+crt-static").status().expect("cargo");
        assert!(status.success(), "floor and measure do not build");
        Self { floor: dir.join("floor"), measure: dir.join("measure"), quadlet: quadlet() }
    }
}

/// Returns the command of podman's generator.
fn quadlet() -> Option<Vec<String>> {
    if let Ok(command) = std::env::var("QUADLET") {
        return Some(command.split_whitespace().map(str::to_owned).collect());
    }
    let places =
        ["/usr/libexec/podman/quadlet", "/usr/lib/systemd/system-generators/podman-system-generator"];
    places.iter().find(|path| Path::new(path).exists()).map(|path| vec![(*path).to_owned()])
}

/// The input of the programs, and their output directory.
struct Input {
    on_disk: TempDir,
    /// In memory, like the directory in which PID 1 makes generators write.
    output: TempDir,
}

impl Input {
    fn new(count: usize) -> Self {
        let memory = ["/dev/shm", "/run"].into_iter().find(|path| Path::new(path).is_dir()).expect("a tmpfs");
        let input = Self {
            on_disk: tempfile::tempdir().expect("temporary folder"),
            output: tempfile::tempdir_in(memory).expect("temporary folder in memory"),
        };
        let intents = input.root().join("etc/nixos-nspawn");
        let quadlets = input.on_disk.path().join("quadlets");
        fs::create_dir_all(&intents).expect("new");
        fs::create_dir_all(&quadlets).expect("new");
        fs::create_dir_all(input.out()).expect("new");
        for at in 0..count {
            // The realistic example, with a different name and port for each.
            let text = include_str!("../../../examples/intent/web.json")
                .replace("\"name\": \"web\"", &format!("\"name\": \"web-{at}\""))
                .replace("8080", &(10_000 + at).to_string())
                .replace("8443", &(20_000 + at).to_string());
            fs::write(intents.join(format!("web-{at}.json")), text).expect("written");
            fs::write(quadlets.join(format!("web-{at}.container")), container(at)).expect("written");
        }
        // The floor program writes what the generator writes.
        let generator = input.generator();
        let status = Command::new(&generator[0]).args(&generator[1..]).status().expect("the generator runs");
        assert!(status.success(), "the generator refuses the input of the benchmark");
        fs::write(input.list(), list(&input.out())).expect("written");
        input
    }

    fn root(&self) -> PathBuf {
        self.on_disk.path().join("root")
    }

    fn list(&self) -> PathBuf {
        self.on_disk.path().join("list")
    }

    fn out(&self) -> PathBuf {
        self.output.path().join("generator")
    }

    fn generator(&self) -> Vec<String> {
        let mut words = vec![bins().generator.display().to_string(), "--root".to_owned()];
        words.extend([self.root(), self.out()].map(|path| path.display().to_string()));
        words
    }

    fn floor(&self, tools: &Tools) -> Vec<String> {
        let intents = self.root().join("etc/nixos-nspawn");
        [tools.floor.clone(), intents, self.out(), self.list()]
            .map(|path| path.display().to_string())
            .to_vec()
    }

    fn quadlet(&self, words: &[String]) -> Vec<String> {
        let folder = self.on_disk.path().join("quadlets");
        let mut all = vec!["/usr/bin/env".to_owned(), format!("QUADLET_UNIT_DIRS={}", folder.display())];
        all.extend(words.iter().cloned());
        all.push("-no-kmsg-log".to_owned());
        all.push(self.out().display().to_string());
        all
    }

    fn measure(&self, tools: &Tools, runs: u32, words: &[String]) -> Vec<Sample> {
        let output = Command::new(&tools.measure).arg(runs.to_string()).arg(self.out()).args(words).output();
        let output = output.expect("measure runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let sample = |line: &str| {
            let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
            Sample { time: numbers[0], processor: numbers[1], memory: numbers[2] }
        };
        String::from_utf8_lossy(&output.stdout).lines().map(sample).collect()
    }
}

/// A container for podman with about as many settings.
fn container(at: usize) -> String {
    format!(
        "[Unit]\nDescription=Web server {at}\nAfter=postgresql.service\n\n[Container]\nImage=docker.io/library/nginx:1\n\
         ContainerName=web-{at}\nVolume=/srv/web:/srv/web\nVolume=/srv/certificates:/etc/certificates:ro\n\
         Secret=database-password\nPublishPort={}:80\nPublishPort={}:443\nUserNS=auto\nUlimit=nofile=4096:65536\n\n\
         [Service]\nMemoryMax=2G\nCPUWeight=200\nTimeoutStartSec=3min\n\n[Install]\nWantedBy=multi-user.target\n",
        10_000 + at,
        20_000 + at
    )
}

/// Returns the list for floor.rs, each directory followed by its contents.
fn list(out: &Path) -> String {
    let mut text = String::new();
    for path in paths(out) {
        let full = out.join(&path);
        let name = path.file_name().expect("a name").to_string_lossy();
        text += &if full.is_symlink() {
            format!("l {} {name}\n", fs::read_link(&full).expect("just seen").display())
        } else if full.is_dir() {
            format!("d {}\n", path.display())
        } else {
            format!("f {} {name}\n", fs::metadata(&full).expect("just seen").len())
        };
    }
    text
}

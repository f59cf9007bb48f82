//! Runs strace on a throwaway host, which does not have it, with the loader and libraries of this machine.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::fault::{CHANGING, Fault, Point, of_trace};
use crate::host::{Host, Output};

/// The path of strace on a host.
const FOLDER: &str = "/usr/local/lib/strace";

/// The time limit of a command under strace.
const LONG: Duration = Duration::from_secs(300);

/// A host with strace.
pub struct Live<'a> {
    /// The host.
    pub host: &'a Host,
    /// The command line that runs strace.
    strace: Vec<String>,
}

impl<'a> Live<'a> {
    /// Copies strace and its libraries to a host.
    pub fn new(host: &'a Host) -> Self {
        let which = Command::new("sh").args(["-c", "command -v strace"]).output().expect("sh");
        let program = String::from_utf8(which.stdout).expect("UTF-8").trim().to_owned();
        assert!(!program.is_empty(), "strace of the package strace is missing");
        let ldd = Command::new("ldd").arg(&program).output().expect("ldd of libc-bin");
        let libraries = String::from_utf8(ldd.stdout).expect("UTF-8");
        // "NAME => PATH (ADDRESS)"; for the loader, only a path.
        let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        let mut loader = String::new();
        for path in paths.chain([program.as_str()]) {
            let name = Path::new(path).file_name().and_then(|name| name.to_str()).expect("a name");
            host.copy_in(Path::new(path), &format!("{FOLDER}/{name}"), 0o755);
            if name.starts_with("ld-") {
                loader = format!("{FOLDER}/{name}");
            }
        }
        let program = format!("{FOLDER}/strace");
        let strace = [&loader, "--library-path", FOLDER, &program, "-qq"].map(str::to_owned).to_vec();
        Self { host, strace }
    }

    /// Runs a `nixos-nspawn` command, which must succeed, and returns its calls that change something.
    pub fn points(&self, words: &[&str]) -> Vec<Point> {
        let trace = format!("trace={CHANGING}");
        let options = ["-o", "/run/trace", "-s", "100", "-e", &trace, "-e", "signal=none"];
        let output = self.run(&options, words);
        assert!(output.success(), "{words:?}: {output}");
        let text = self.host.file("/run/trace");
        let points = of_trace(&text.lines().map(|line| format!("1 {line}\n")).collect::<String>());
        points.into_iter().filter(Point::changes).collect()
    }

    /// Runs a `nixos-nspawn` command with a fault. Returns its output, and whether the fault was injected.
    pub fn faulted(&self, words: &[&str], point: &Point, fault: Fault) -> (Output, bool) {
        static LOGS: AtomicUsize = AtomicUsize::new(0);
        let log = format!("/run/trace-{}", LOGS.fetch_add(1, Ordering::Relaxed));
        let options = fault.words(point);
        let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
        options.extend(["-o", &log]);
        let output = self.run(&options, words);
        let injected = fault.is_in(&self.host.ok(&["sh", "-euc", r#"cat "$0" && rm "$0""#, &log]));
        (output, injected)
    }

    fn run(&self, options: &[&str], words: &[&str]) -> Output {
        let strace: Vec<&str> = self.strace.iter().map(String::as_str).collect();
        let all = [&strace, options, &["/usr/local/bin/nixos-nspawn"], words].concat();
        self.host.run_with(&all, None, LONG)
    }
}

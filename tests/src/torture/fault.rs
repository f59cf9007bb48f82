//! Injects faults at a system call of a program with strace: a signal on entry, or an error in place of the call.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Calls that change something that outlives the program, or wait for another program.
pub const CHANGING: &str = "?rename,renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,\
    mkdirat,openat,openat2,write,ftruncate,fsync,fdatasync,?chmod,fchmod,fchmodat,fchown,fchownat,utimensat,flock,clone,\
    syncfs,clone3,?vfork,wait4,waitid";

/// The calls above, and calls that read.
pub const ALL: &str = "?rename,renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,\
    mkdirat,openat,openat2,write,ftruncate,fsync,fdatasync,?chmod,fchmod,fchmodat,fchown,fchownat,utimensat,flock,clone,\
    syncfs,clone3,?vfork,wait4,waitid,read,getdents64,statx,newfstatat,?readlink,readlinkat,faccessat2,?access";

/// A call of a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The name of the call.
    pub call: String,
    /// The number of the call among those of this name, from 1.
    pub nth: usize,
    /// The call as strace shows it, shortened.
    pub shown: String,
}

/// The fault at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A signal, such as `SIGKILL`.
    Signal(&'static str),
    /// The call fails with this error, such as `EIO`.
    Error(&'static str),
    /// This call and all later ones of the same name fail.
    Errors(&'static str),
}

impl Fault {
    /// Returns the strace arguments that inject the fault at `point`.
    pub fn words(self, point: &Point) -> [String; 4] {
        let Point { call, nth, .. } = point;
        let injected = match self {
            Self::Signal(signal) => format!("inject={call}:signal={signal}:when={nth}"),
            Self::Error(error) => format!("inject={call}:error={error}:when={nth}"),
            Self::Errors(error) => format!("inject={call}:error={error}:when={nth}+"),
        };
        ["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), injected]
    }

    /// Returns whether strace's log shows that the fault was injected.
    pub fn is_in(self, log: &str) -> bool {
        match self {
            Self::Signal(signal) => {
                log.contains(&format!("--- {signal} "))
                    || log.contains(&format!("+++ killed by {signal} +++"))
            }
            Self::Error(_) | Self::Errors(_) => log.contains("(INJECTED)"),
        }
    }
}

/// Runs a program and returns its system calls among `calls`, in order. Omits calls of its child processes.
pub fn points(program: &Command, calls: &str, log: &Path) -> Vec<Point> {
    let mut strace =
        strace(program, log, &["-s", "256", "-e", &format!("trace={calls}"), "-e", "signal=none"]);
    let output = strace.output().expect("strace of the package strace");
    let text = fs::read_to_string(log).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", log.display(), String::from_utf8_lossy(&output.stderr))
    });
    let _ = fs::remove_file(log);
    of_trace(&text)
}

/// Returns the calls of the first process in a trace.
pub fn of_trace(text: &str) -> Vec<Point> {
    let mut first = None;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for line in text.lines() {
        let Some((process, shown)) = line.split_once(' ') else { continue };
        // A call that is interrupted by one of another thread has a second line, "<... call resumed>".
        let Some((call, _)) = shown.trim_start().split_once('(').filter(|(call, _)| !call.contains('<'))
        else {
            continue;
        };
        if *first.get_or_insert(process) != process {
            continue;
        }
        let nth = counts.entry(call).or_default();
        *nth += 1;
        points.push(Point {
            call: call.to_owned(),
            nth: *nth,
            shown: shown.trim().chars().take(200).collect(),
        });
    }
    points
}

impl Point {
    /// Returns whether the call changes something outside the program, or waits for another program.
    pub fn changes(&self) -> bool {
        match self.call.as_str() {
            "openat" | "openat2" => self.shown.contains("O_CREAT"),
            "read" | "getdents64" | "statx" | "newfstatat" | "readlink" | "readlinkat" | "faccessat2"
            | "access" => false,
            _ => true,
        }
    }
}

/// Runs a program with a fault at one of its calls. Returns its output, and whether the fault was injected.
pub fn faulted(program: &Command, point: &Point, fault: Fault) -> (Output, bool) {
    let words = fault.words(point);
    let log = tempfile::NamedTempFile::new().expect("a log");
    let mut strace = strace(program, log.path(), &words.each_ref().map(String::as_str));
    let output = strace.output().expect("strace of the package strace");
    let text = fs::read(log.path()).expect("strace's log");
    (output, fault.is_in(&String::from_utf8_lossy(&text)))
}

fn strace(program: &Command, log: &Path, words: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log).args(words);
    strace.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_numbered_by_name() {
        let trace = "7  openat(AT_FDCWD, \"/a\", O_RDONLY) = 3\n7  write(3, \"x\", 1 <unfinished ...>\n\
                     8  write(3, \"y\", 1) = 1\n7  <... write resumed>) = 1\n7  openat(3, \"b\", O_CREAT) = 4\n\
                     7  +++ exited with 0 +++\n";
        let points = of_trace(trace);
        let found: Vec<(&str, usize, bool)> =
            points.iter().map(|point| (point.call.as_str(), point.nth, point.changes())).collect();
        assert_eq!(found, [("openat", 1, false), ("write", 1, true), ("openat", 2, true)]);
    }

    #[test]
    fn faults_are_in_the_log() {
        let (term, kill, error) = (Fault::Signal("SIGTERM"), Fault::Signal("SIGKILL"), Fault::Error("EIO"));
        for (log, found) in [
            (
                "7 fsync(3) = 0\n7 --- SIGTERM {si_signo=SIGTERM, si_code=SI_KERNEL} ---\n",
                [true, false, false],
            ),
            ("7 fsync(3 <unfinished ...>) = ?\n7 +++ killed by SIGKILL +++\n", [false, true, false]),
            ("7 fsync(3) = -1 EIO (Input/output error) (INJECTED)\n", [false, false, true]),
            ("7 fsync(3) = -1 EIO (Input/output error)\n7 +++ exited with 1 +++\n", [false; 3]),
            ("", [false; 3]),
        ] {
            assert_eq!([term, kill, error].map(|fault| fault.is_in(log)), found, "{log}");
        }
    }
}

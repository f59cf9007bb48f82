//! Golden cases. Each directory in tests/golden/cases is one: its files are a root directory, `setup` (see
//! [`crate::setup`]) makes what Git cannot store, and `expected` holds the generator's exit status, standard error and
//! output directories. Cases are found by listing. Links lead to documentation examples and are followed.

use std::any::Any;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::host::bins;
use crate::manifest::{indent, manifest};
use crate::setup::set_up;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name of its directory.
    pub name: String,
    dir: PathBuf,
}

/// Returns all cases, sorted by name. Panics if there are none.
pub fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/cases");
    let mut cases: Vec<Case> = fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("readable").path())
        .map(|dir| Case { name: dir.file_name().expect("a name").to_str().expect("UTF-8").to_owned(), dir })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty(), "{}: no cases", dir.display());
    cases
}

/// Returns the cases whose names start with the value of NIXOS_NSPAWN_CASE, or all if it is not set.
fn chosen_cases() -> Vec<Case> {
    let mut cases = cases();
    if let Ok(start) = std::env::var("NIXOS_NSPAWN_CASE") {
        cases.retain(|case| case.name.starts_with(&start));
        assert!(!cases.is_empty(), "NIXOS_NSPAWN_CASE={start}: no case has such a name");
    }
    cases
}

/// Runs `check` on every chosen case. Panics with the names and reasons of all that failed.
pub fn for_each_case(check: impl Fn(&Case) -> Result<(), String>) {
    let cases = chosen_cases();
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let checked = catch_unwind(AssertUnwindSafe(|| check(case)));
            let why = checked.unwrap_or_else(|panic| Err(message(&*panic)));
            why.err().map(|why| format!("== case {} ==\n{why}", case.name))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} cases fail\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Returns the message of a panic, so that the other cases are still checked.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl Case {
    /// Returns the path of the file with the expectation.
    pub fn expected(&self) -> PathBuf {
        self.dir.join("expected")
    }

    /// Makes a fresh copy of the case's root directory.
    pub fn root(&self) -> Root {
        self.root_in_order(false)
    }

    /// Does the same, but creates the entries of each directory in reverse order.
    pub fn root_backwards(&self) -> Root {
        self.root_in_order(true)
    }

    fn root_in_order(&self, backwards: bool) -> Root {
        assert!(
            rustix::process::geteuid().is_root(),
            "golden cases have owners and devices: run them as root"
        );
        // PID 1 runs generators with this umask.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let root = Root::new();
        copy(&self.dir, &root.path(), backwards);
        for own in ["setup", "expected"] {
            let _ = fs::remove_file(root.path().join(own));
        }
        if let Ok(script) = fs::read_to_string(self.dir.join("setup")) {
            set_up(&root.path(), &script);
        }
        root
    }
}

/// Copies a directory with default modes, following links.
fn copy(from: &Path, to: &Path, backwards: bool) {
    fs::DirBuilder::new().mode(0o755).create(to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    let mut names: Vec<_> =
        fs::read_dir(from).expect("a folder").map(|entry| entry.expect("readable").file_name()).collect();
    names.sort();
    if backwards {
        names.reverse();
    }
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to, backwards);
        } else {
            let bytes = fs::read(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
            fs::write(&to, bytes).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).expect("chmod");
        }
    }
}

/// A root directory, and output directories in memory, as /run is: a slow disk would cost the generator processor time,
/// which is limited. Removed when dropped.
pub struct Root {
    temporary: TempDir,
    out: TempDir,
}

/// The names that PID 1 gives to the output directories.
const OUTPUTS: [&str; 3] = ["generator", "generator.early", "generator.late"];

impl Root {
    /// Makes an empty root.
    pub fn empty() -> Self {
        let root = Self::new();
        fs::create_dir(root.path()).expect("new");
        root
    }

    fn new() -> Self {
        Self {
            temporary: tempfile::tempdir().expect("temporary folder"),
            out: tempfile::tempdir_in("/dev/shm").expect("temporary folder in memory"),
        }
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.temporary.path().join("root")
    }

    /// Returns the path of its directory of intents.
    pub fn intents(&self) -> PathBuf {
        self.path().join("etc/nixos-nspawn")
    }

    /// Makes the output directories and returns their paths: normal, early, late.
    pub fn outputs(&self) -> [PathBuf; 3] {
        OUTPUTS.map(|name| {
            let path = self.out.path().join(name);
            fs::create_dir_all(&path).expect("output folder");
            path
        })
    }

    /// Runs the generator on this root as PID 1 would.
    pub fn generate(&self) -> Outcome {
        self.run(&mut self.command())
    }

    /// Returns the generator's command line.
    pub fn command(&self) -> Command {
        let mut command = self.generator();
        command.arg("--root").arg(self.path()).args(self.outputs());
        command
    }

    /// Returns the generator's command without arguments.
    pub fn generator(&self) -> Command {
        self.outputs();
        Command::new(&bins().generator)
    }

    /// Returns the path where drop-ins expect the unit helper.
    pub fn helper(&self) -> String {
        let output = self.generator().arg("--version").output().expect("the generator runs");
        let version = String::from_utf8(output.stdout).expect("UTF-8");
        version
            .lines()
            .find_map(|line| line.strip_prefix("unit-helper "))
            .expect("the helper's path")
            .to_owned()
    }

    /// Runs the generator with this root as the root of the system.
    pub fn generate_as_on_a_host(&self) -> Outcome {
        let root = self.path();
        for directory in ["proc", "run/systemd"] {
            fs::create_dir_all(root.join(directory)).expect("new");
        }
        // Not a copy: a process that another test starts meanwhile would hold it open for writing ("Text file busy").
        fs::write(root.join("program"), "").expect("new");
        // These are bind-mounted over /run/systemd, where the generator writes.
        self.outputs();
        // The generator reads the path of an open file from /proc.
        let script = "mount --bind /proc \"$0/proc\" && mount --bind \"$1\" \"$0/run/systemd\" && \
            mount --bind \"$2\" \"$0/program\" && exec chroot \"$0\" /program /run/systemd/generator \
            /run/systemd/generator.early /run/systemd/generator.late";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]).arg(&root).arg(self.out.path());
        command.arg(&bins().generator);
        self.run(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// Runs a command that ends in the generator's command line, with a time limit.
    pub fn run(&self, command: &mut Command) -> Outcome {
        let mut bounded = Command::new("/usr/bin/timeout");
        bounded.args(["--signal=KILL", "30"]).arg(command.get_program()).args(command.get_args());
        bounded.env_clear().current_dir("/").stdin(std::process::Stdio::null());
        for (key, value) in command.get_envs() {
            bounded.env(key, value.unwrap_or_default());
        }
        let output = bounded.output().expect("timeout of coreutils");
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        assert!(output.stdout.is_empty(), "a generator prints nothing to standard output");
        Outcome {
            status: output
                .status
                .code()
                .unwrap_or_else(|| panic!("killed by a signal: {}; {stderr}", output.status)),
            stderr: stderr.replace(&self.out.path().display().to_string(), "OUT"),
            tree: manifest(self.out.path()),
        }
    }

    /// Returns the directory of the normal units.
    pub fn units(&self) -> PathBuf {
        self.out.path().join("generator")
    }
}

/// The result of a run of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit status.
    pub status: i32,
    /// The messages, with `OUT` for the parent of the output directories.
    pub stderr: String,
    /// The manifest of the output directories.
    pub tree: String,
}

impl Outcome {
    /// Returns everything as one text, in the format of `expected`.
    pub fn text(&self) -> String {
        let mut text = format!("exit status {}\nstandard error\n", self.status);
        indent(&mut text, &self.stderr);
        write!(text, "{}", self.tree).expect("writing to a String cannot fail");
        text
    }
}

/// Whether to write expectations instead of comparing them: NIXOS_NSPAWN_BLESS=1.
pub fn blessing() -> bool {
    std::env::var_os("NIXOS_NSPAWN_BLESS").is_some_and(|value| value == "1")
}

/// Compares `actual` with the file at `path`, or writes it there if [`blessing`].
pub fn compare(path: &Path, actual: &str) -> Result<(), String> {
    if blessing() {
        fs::write(path, actual).map_err(|e| format!("{}: {e}", path.display()))?;
        return Ok(());
    }
    let expected = fs::read_to_string(path).map_err(|e| {
        format!(
            "{}: {e}; NIXOS_NSPAWN_BLESS=1 writes it, for you to read and commit\n{actual}",
            path.display()
        )
    })?;
    if expected == actual {
        return Ok(());
    }
    Err(format!(
        "{} differs (NIXOS_NSPAWN_BLESS=1 accepts it)\n{}",
        path.display(),
        difference(&expected, actual)
    ))
}

/// Returns a unified diff of two texts, without its header.
pub fn difference(expected: &str, actual: &str) -> String {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (old, new) = (dir.path().join("expected"), dir.path().join("actual"));
    fs::write(&old, expected).expect("written");
    fs::write(&new, actual).expect("written");
    let output = Command::new("diff").arg("-u").arg(old).arg(new).output().expect("diff of diffutils");
    String::from_utf8_lossy(&output.stdout).lines().skip(2).map(|line| format!("{line}\n")).collect()
}

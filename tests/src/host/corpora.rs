//! The files that systemd's own fuzzers start from. They come with the source of Debian's package, from the archive that the
//! hosts are made from, and are kept beside the hosts' trees.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::command::{Timeout, run};
use super::tree::{Suite, hosts_dir, tree};

/// Returns the directory with a directory for each of systemd's fuzzers, such as `fuzz-unit-file`. Panics with the reason if
/// it cannot be fetched.
pub fn systemd_corpora() -> PathBuf {
    let host = tree(Suite::Trixie);
    let corpora = hosts_dir().canonicalize().expect("has trees").join("systemd-corpora");
    let lock = File::create(corpora.with_extension("lock")).expect("lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("flock");
    if !corpora.exists() {
        let unfinished = corpora.with_extension(format!("{}-unfinished", std::process::id()));
        fetch(&host, &unfinished);
        fs::rename(unfinished.join("fuzz"), &corpora).expect("rename of the corpora");
        fs::remove_dir_all(&unfinished).expect("removed");
    }
    corpora
}

/// Fetches the source of systemd into a new directory, and unpacks the corpora into `fuzz` there.
fn fetch(host: &Path, directory: &Path) {
    fs::create_dir_all(directory.join("lists/partial")).expect("a directory");
    let sources = fs::read_to_string(host.join("etc/apt/sources.list")).expect("of the tree");
    let sources: String = sources.lines().map(|line| line.replacen("deb ", "deb-src ", 1) + "\n").collect();
    fs::write(directory.join("sources.list"), sources).expect("written");
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(directory).args([
            "-qq",
            "-o",
            "Acquire::Retries=5",
            "-o",
            "APT::Sandbox::User=root",
        ]);
        for (option, value) in [
            ("Dir::Etc::sourcelist", directory.join("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("-")),
            ("Dir::Etc::trustedparts", host.join("etc/apt/trusted.gpg.d")),
            ("Dir::State::lists", directory.join("lists")),
        ] {
            command.arg("-o").arg(format!("{option}={}", value.display()));
        }
        let output = run(command.args(words), None, Timeout::after(Duration::from_secs(300)));
        assert!(output.success(), "the source of systemd could not be fetched: {output}");
    };
    apt(&["update"]);
    apt(&["source", "--download-only", "systemd"]);
    let mut archive = fs::read_dir(directory).expect("made").flatten().map(|entry| entry.path());
    let archive = archive.find(|path| path.to_string_lossy().contains(".orig.tar.")).expect("an archive");
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(directory);
    let tar = run(
        tar.args(["--strip-components=2", "--wildcards", "*/test/fuzz/*"]),
        None,
        Timeout::after(Duration::from_secs(120)),
    );
    assert!(tar.success(), "{tar}");
}

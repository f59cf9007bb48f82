//! The input of the generator and of the programs that it is compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::manifest::paths;
use tempfile::TempDir;

use crate::sample::Sample;
use crate::tools::Tools;

/// The input of the programs, and their output directory.
pub(crate) struct Input {
    on_disk: TempDir,
    /// In memory, like the directory in which PID 1 makes generators write.
    output: TempDir,
}

impl Input {
    pub(crate) fn new(count: usize) -> Self {
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
            let text = include_str!("../../../../examples/intent/web.json")
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

    pub(crate) fn root(&self) -> PathBuf {
        self.on_disk.path().join("root")
    }

    fn list(&self) -> PathBuf {
        self.on_disk.path().join("list")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.output.path().join("generator")
    }

    pub(crate) fn generator(&self) -> Vec<String> {
        let mut words = vec![bins().generator.display().to_string(), "--root".to_owned()];
        words.extend([self.root(), self.out()].map(|path| path.display().to_string()));
        words
    }

    pub(crate) fn floor(&self, tools: &Tools) -> Vec<String> {
        let intents = self.root().join("etc/nixos-nspawn");
        [tools.floor.clone(), intents, self.out(), self.list()]
            .map(|path| path.display().to_string())
            .to_vec()
    }

    pub(crate) fn quadlet(&self, words: &[String]) -> Vec<String> {
        let folder = self.on_disk.path().join("quadlets");
        let mut all = vec!["/usr/bin/env".to_owned(), format!("QUADLET_UNIT_DIRS={}", folder.display())];
        all.extend(words.iter().cloned());
        all.push("-no-kmsg-log".to_owned());
        all.push(self.out().display().to_string());
        all
    }

    pub(crate) fn measure(&self, tools: &Tools, runs: u32, words: &[String]) -> Vec<Sample> {
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

/// Returns the list for floor.rs, each directory before its contents.
fn list(out: &Path) -> String {
    let mut text = String::new();
    for path in paths(out) {
        let full = out.join(&path);
        let name = path.display();
        text += &if full.is_symlink() {
            format!("l {} {name}\n", fs::read_link(&full).expect("just seen").display())
        } else if full.is_dir() {
            format!("d {name}\n")
        } else {
            format!("f {} {name}\n", fs::metadata(&full).expect("just seen").len())
        };
    }
    text
}

//! `make bench-updates`: measures updates on a throwaway host: of an unchanged container, of 50 unchanged ones of one flake,
//! and of 8 changed ones with one job and with two; and what it costs to write the store to the disk. Prints times and
//! ratios within this run. No test depends on them.

use std::time::Instant;

use nixos_nspawn_tests::host::{Host, Suite, bins, dynamic};
use serde_json::{Map, Value, json};

/// The number of unchanged containers.
const UNCHANGED: usize = 50;

/// The containers that change, of which each takes a second to build.
const CHANGED: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

fn main() {
    let host = Host::boot_on_disk(Suite::Trixie);
    host.install(bins());
    // Logs how long each call of Nix took.
    let wrapper = "#!/bin/bash\nbegun=$(date +%s.%N)\n/usr/bin/nix \"$@\"\nstatus=$?\n\
                   echo \"$1 $begun $(date +%s.%N)\" >> /run/nix-calls\nexit $status\n";
    host.write("/usr/local/bin/nix", wrapper, 0o755);
    host.sh("ln -s /usr/bin/nix-env /usr/local/bin/nix-env");
    own(&host, "one\n");
    for number in 1..=UNCHANGED {
        let name = format!("c{number}");
        host.ctl_ok(&["create", &name, "--flake", "/root/flake", "--no-start"]);
    }

    let (whole, nix, calls) = measured(&host, &["update", "c1"]);
    println!(
        "1 unchanged: {whole:.2} s, {:.2} s beside {calls} Nix process (aims: 1, at most 0.5 s)",
        whole - nix
    );
    let (whole, nix, calls) = measured(&host, &["update", "--all"]);
    println!(
        "{UNCHANGED} unchanged: {whole:.2} s, {:.2} s beside {calls} Nix process (aims: 1, at most 2 s)",
        whole - nix
    );
    let changed = |page: &str, jobs: &str, more: &[&str]| {
        own(&host, page);
        let arguments = [&["update"], &CHANGED[..], &["--jobs", jobs], more].concat();
        measured(&host, &arguments).0
    };
    let (one, two) = (changed("two\n", "1", &[]), changed("three\n", "2", &[]));
    println!(
        "8 changed, stopped: {one:.1} s with 1 job, {two:.1} s with 2: x {:.2} (aim: at most 0.6)",
        two / one
    );
    unwritten(&host);
    host.sh(&format!("systemctl start {}", CHANGED.map(|name| format!("systemd-nspawn@{name}")).join(" ")));
    let (one, two) = (changed("four\n", "1", &[]), changed("five\n", "2", &["--parallel-activation"]));
    println!(
        "8 changed, running: {one:.1} s with 1 job, {two:.1} s with 2 and --parallel-activation: x {:.2}",
        two / one
    );
}

/// Measures rollbacks of a stopped container, which write the file systems of the store to the disk, with and without data
/// that others have not written yet.
fn unwritten(host: &Host) {
    let mut to = [1, 2].into_iter().cycle();
    let mut median = |before: &str| {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                host.sh(before);
                measured(host, &["rollback", "c1", "--to", &to.next().unwrap_or(1).to_string()]).0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let clean = median("sync");
    let dirty = median("sync; dd if=/dev/zero of=/nix/unwritten bs=1M count=256 2> /dev/null");
    let alone = host.sh("dd if=/dev/zero of=/nix/unwritten bs=1M count=256 2> /dev/null
        begun=$(date +%s%N); sync -f /nix; echo $((($(date +%s%N) - begun) / 1000000)); rm /nix/unwritten");
    println!(
        "rollback, stopped: {clean:.2} s, with 256 MiB of unwritten data on the store's file system {dirty:.2} s; \
         'sync -f' of as much alone: {} ms",
        alone.trim()
    );
}

/// Sets the containers of the flake. Those that change take a second to build.
fn own(host: &Host, page: &str) {
    let settings = |number: usize| {
        let name = format!("c{number}");
        let changes = CHANGED.contains(&name.as_str());
        let mut settings = dynamic(if changes { page } else { "same\n" });
        settings["switch"] = json!(if changes { "$(sleep 1)" } else { "exit 0" });
        (name, settings)
    };
    host.own(&Value::Object((1..=UNCHANGED).map(settings).collect::<Map<_, _>>()));
}

/// Runs a command. Returns how long it took, how long Nix did, and the number of calls of Nix.
fn measured(host: &Host, arguments: &[&str]) -> (f64, f64, usize) {
    host.sh("rm -f /run/nix-calls");
    let begun = Instant::now();
    host.ctl_ok(arguments);
    let whole = begun.elapsed().as_secs_f64();
    let calls = host.sh("cat /run/nix-calls 2> /dev/null || true");
    let time = |line: &str| {
        let times: Vec<f64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
        times[1] - times[0]
    };
    (whole, calls.lines().map(time).sum(), calls.lines().count())
}

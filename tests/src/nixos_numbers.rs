//! The measurements of `make nixos-check`: memory of an evaluation, duration of `create`, and start time and
//! memory of twenty containers. One line each, like those of tests/nixos/check.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::host::{Host, unit};
use crate::nixos_seen::Report;

/// The number of containers that start together.
const MANY: usize = 20;

/// How often they are started in either way.
const STARTS: usize = 3;

/// The time limit for twenty systems on two busy processors.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Measures everything on a host that tests/nixos/up has prepared.
pub fn measure(host: &Host, report: &mut Report) {
    evaluation(host, report);
    many(host, report);
}

/// Evaluates one empty container, and a host with sixteen.
fn evaluation(host: &Host, report: &mut Report) {
    let one = "((import /root/product/nix/lib.nix { }).mkContainer { name = \"empty\"; pkgs = import /root/nixpkgs { }; \
               modules = [ { system.stateVersion = \"25.05\"; } ]; }).drvPath";
    let output = host.run_with(&instantiate(one), None, PATIENCE);
    let stats = output.stderr.find("{\n").and_then(|at| serde_json::from_str(&output.stderr[at..]).ok());
    let stats: serde_json::Value = stats.unwrap_or_default();
    let bytes = stats["gc"]["totalBytes"].as_u64().unwrap_or(u64::MAX);
    let what =
        format!("memory allocated to evaluate an empty container: {} MB (at most 331)", bytes / 1_000_000);
    report.line(output.success() && bytes <= 331_999_999, &what);

    let host16 = "(import /root/nixpkgs/nixos/lib/eval-config.nix { lib = import /root/nixpkgs/lib; system = null; modules = [ \
                  /root/product/nix/module.nix \
                  ({ lib, pkgs, ... }: { boot.isContainer = true; networking.useHostResolvConf = false; nixpkgs.hostPlatform = \"x86_64-linux\"; \
                  system.stateVersion = \"25.05\"; nixos.containers.package = pkgs.hello; nixos.containers.instances = \
                  lib.genAttrs (map (n: \"c${toString n}\") (lib.range 1 16)) (_: { }); }) \
                  ]; }).config.system.build.toplevel.drvPath";
    let mut command = Command::new(host.entry());
    command.args(instantiate(host16)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ended = command.spawn().and_then(|mut child| child.wait4());
    let (good, peak) = match ended {
        Ok(ended) => (ended.status.success(), ended.rusage.maxrss >> 20),
        Err(_) => (false, 0),
    };
    report.line(
        good && peak <= 2048,
        &format!("peak memory to evaluate a host with 16 containers: {peak} MiB (at most 2048)"),
    );
}

fn instantiate(expression: &str) -> [&str; 7] {
    ["env", "NIX_SHOW_STATS=1", "nix-instantiate", "--read-write-mode", "--eval", "--expr", expression]
}

/// Creates twenty containers from one profile, and starts them with `systemctl start` and with the host.
fn many(host: &Host, report: &mut Report) {
    let names: Vec<String> = (1..=MANY).map(|number| format!("kit-n{number:02}")).collect();
    let units: Vec<String> = names.iter().map(|name| unit(name)).collect();
    let ctl = |words: &[&str]| host.run_with(&[&["nixos-nspawn"], words].concat(), None, PATIENCE);
    let config = ["create", &names[0], "--config", "/root/nixos/conf/many.nix", "--nixpkgs", "/root/nixpkgs"];
    let made = ctl(&[&config[..], &["--no-start"]].concat());
    let profile =
        host.run(&["readlink", "-f", &format!("/nix/var/nix/profiles/per-nspawn/{}/system", names[0])]);
    let mut good = made.success();
    let mut times = Vec::new();
    for name in &names[1..] {
        let begin = Instant::now();
        let made = ctl(&["create", name, "--profile", profile.stdout.trim(), "--no-start"]);
        times.push(begin.elapsed());
        good &= made.success();
    }
    times.sort();
    let median = times[times.len() / 2].as_millis();
    report.line(
        good && median <= 300,
        &format!("`create` of a built container, without its start: {median} ms (at most 300)"),
    );

    let good = host.run_with(&["systemctl", "start", &units[0]], None, PATIENCE).success();
    let first = span(host, &units[..1]).as_secs_f64();
    report.line(
        good && first > 0.0 && first <= 3.0,
        &format!("first start of a container, until it is ready: {first:.1} s (at most 3)"),
    );
    host.run_with(&["systemctl", "stop", &units[0]], None, PATIENCE);

    let start: Vec<&str> =
        ["systemctl", "start"].into_iter().chain(units.iter().map(String::as_str)).collect();
    let good = host.run_with(&start, None, PATIENCE).success();
    let mut by_hand = vec![span(host, &units)];
    let mut memory: Vec<u64> = units.iter().map(|unit| proportional_memory(host, unit)).collect();
    memory.sort_unstable();
    let (all, middle) = (memory.iter().sum::<u64>(), memory[MANY / 2]);
    report.line(
        middle > 0,
        &format!("memory of each of them, and of all: {} MiB, {} MiB", middle >> 10, all >> 10),
    );
    let stop: Vec<&str> = ["systemctl", "stop"].into_iter().chain(units.iter().map(String::as_str)).collect();
    // In turns: a single start takes a fifth more or less.
    let mut at_boot = Vec::new();
    for round in 0..STARTS {
        host.run_with(&stop, None, PATIENCE);
        if round > 0 {
            host.run_with(&start, None, PATIENCE);
            by_hand.push(span(host, &units));
        }
        let state = host.reboot();
        at_boot.push(span(host, &units));
        if round == 0 || state != "running" {
            let good = state == "running";
            report.line(good, &format!("state of the host after a reboot with them: {state}"));
        }
    }
    let started = good && !by_hand.iter().chain(&at_boot).any(Duration::is_zero);
    let [by_hand, at_boot] = [by_hand, at_boot].map(middle_of);
    let ratio = at_boot / by_hand.max(0.001);
    report.line(started, &format!("start of {MANY} by `systemctl start`: {by_hand:.1} s"));
    report.line(started, &format!("start of {MANY} with the host: {at_boot:.1} s"));
    report.line(
        started && ratio <= 1.1,
        &format!("the same, in proportion to `systemctl start`: {ratio:.2} (at most 1.1)"),
    );
    for name in &names {
        ctl(&["remove", name, "--delete-state"]);
    }
}

/// Returns the median, in seconds.
fn middle_of(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Returns the time from the start of the first unit until the last one is active, or zero if one is not.
fn span(host: &Host, units: &[String]) -> Duration {
    let show = |property: &str| -> Vec<u64> {
        let mut words = vec!["systemctl", "show", "--value", "-p", property];
        words.extend(units.iter().map(String::as_str));
        let output = host.run(&words);
        output.stdout.lines().filter_map(|line| line.parse().ok()).collect()
    };
    let begin = show("InactiveExitTimestampMonotonic").into_iter().min().unwrap_or(0);
    let ends = show("ActiveEnterTimestampMonotonic");
    if ends.len() != units.len() || ends.contains(&0) {
        return Duration::ZERO;
    }
    Duration::from_micros(ends.into_iter().max().unwrap_or(0).saturating_sub(begin))
}

/// Returns the proportional set size of the processes of a unit, in KiB.
fn proportional_memory(host: &Host, unit: &str) -> u64 {
    let script = r#"group=$(systemctl show -P ControlGroup "$0")
        for at in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
            [ ! -d "$at$group" ] || { find "$at$group" -name cgroup.procs -exec cat {} +; break; }
        done | sort -u | while read -r pid; do cat /proc/$pid/smaps_rollup 2> /dev/null || :; done |
            awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'"#;
    host.run(&["sh", "-c", script, unit]).stdout.trim().parse().unwrap_or(0)
}

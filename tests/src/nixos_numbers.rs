//! The measurements of `make nixos-check`: memory of an evaluation, duration of `create`, and start time and
//! memory of twenty containers. Prints one line each, like tests/nixos/check.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::host::{Host, unit};

/// The number of containers that start together.
const MANY: usize = 20;

/// The time limit for twenty systems on two busy processors.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The numbers of lines that passed and failed.
#[derive(Default)]
pub struct Count {
    passed: u32,
    failed: u32,
}

impl Count {
    fn line(&mut self, good: bool, what: &str) {
        if good {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        println!("{}  {what}", if good { "ok  " } else { "FAIL" });
    }
}

/// Measures everything on a host that tests/nixos/up has prepared. Returns whether all lines passed.
pub fn measure(host: &Host) -> bool {
    let mut count = Count::default();
    evaluation(host, &mut count);
    many(host, &mut count);
    println!("{} passed, {} failed", count.passed, count.failed);
    count.failed == 0
}

/// Evaluates one empty container, and a host with sixteen.
fn evaluation(host: &Host, count: &mut Count) {
    let one = "((import /root/product/nix/lib.nix { }).mkContainer { name = \"empty\"; pkgs = import /root/nixpkgs { }; \
               modules = [ { system.stateVersion = \"25.05\"; } ]; }).drvPath";
    let output = host.run_with(&instantiate(one), None, PATIENCE);
    let stats = output.stderr.find("{\n").and_then(|at| serde_json::from_str(&output.stderr[at..]).ok());
    let stats: serde_json::Value = stats.unwrap_or_default();
    let bytes = stats["gc"]["totalBytes"].as_u64().unwrap_or(u64::MAX);
    let what =
        format!("an evaluation of an empty container allocates {} MB (at most 331)", bytes / 1_000_000);
    count.line(output.success() && bytes <= 331_999_999, &what);

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
    count.line(
        good && peak <= 2048,
        &format!("an evaluation of a host with 16 takes {peak} MiB at its peak (at most 2048)"),
    );
}

fn instantiate(expression: &str) -> [&str; 7] {
    ["env", "NIX_SHOW_STATS=1", "nix-instantiate", "--read-write-mode", "--eval", "--expr", expression]
}

/// Creates twenty containers from one profile, and starts them with `systemctl start` and with the host.
fn many(host: &Host, count: &mut Count) {
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
    count.line(
        good && median <= 300,
        &format!("a create of a built container takes {median} ms, with Nix's part, without its start (at most 300)"),
    );

    let start: Vec<&str> =
        ["systemctl", "start"].into_iter().chain(units.iter().map(String::as_str)).collect();
    let good = host.run_with(&start, None, PATIENCE).success();
    let by_hand = span(host, &units);
    count.line(good, &format!("{MANY} start by systemctl in {:.1} s", by_hand.as_secs_f64()));
    let mut memory: Vec<u64> = units.iter().map(|unit| proportional_memory(host, unit)).collect();
    memory.sort_unstable();
    let (all, middle) = (memory.iter().sum::<u64>(), memory[MANY / 2]);
    count.line(
        middle > 0,
        &format!("... and take {} MiB of memory each, {} MiB in all", middle >> 10, all >> 10),
    );
    let stop: Vec<&str> = ["systemctl", "stop"].into_iter().chain(units.iter().map(String::as_str)).collect();
    host.run_with(&stop, None, PATIENCE);

    let state = host.reboot();
    count.line(state == "running", &format!("the host reboots with {MANY}: {state}"));
    let at_boot = span(host, &units);
    let ratio = at_boot.as_secs_f64() / by_hand.as_secs_f64().max(0.001);
    count.line(
        at_boot > Duration::ZERO && ratio <= 1.1,
        &format!(
            "{MANY} start with the host in {:.1} s, {ratio:.2} of that (at most 1.1)",
            at_boot.as_secs_f64()
        ),
    );
    for name in &names {
        ctl(&["remove", name, "--delete-state"]);
    }
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

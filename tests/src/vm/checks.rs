//! What only a kernel of its own shows: limits in control groups, devices of the network, the kernel's log, scores of the
//! OOM killer, and a boot of the host with many containers.

use serde_json::{Value, json};

use super::image::Image;
use super::machine::{Shell, Vm};
use super::qemu::Boot;
use super::verbs::ctl;
use crate::host::{BOOT, FLAKE};

/// The number of containers that start at boot, and how many of them may start at the same time.
const COUNT: usize = 20;
const LIMIT: usize = 4;

/// A first process that is ready after a second.
const SLOW: &str =
    "trap 'exit 0' 37; sleep 1; systemd-notify --ready --no-block --pid=1; sleep 2147483647 & wait";

/// The results of the checks: what was checked, and the reason if it failed.
#[derive(Clone, Debug, Default)]
pub struct Checks(Vec<(String, Result<(), String>)>);

impl Checks {
    /// Adds the results on another host.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the number of checks, and of those that failed.
    pub fn counts(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|(_, result)| result.is_err()).count())
    }

    fn put(&mut self, host: &str, what: &str, result: Result<(), String>) {
        match &result {
            Ok(()) => println!("ok      {host}: {what}"),
            Err(reason) => println!("FAILED  {host}: {what}: {}", reason.trim()),
        }
        self.0.push((format!("{host}: {what}"), result));
    }
}

/// Returns the containers that an image for checks has built.
pub fn flake() -> String {
    let plain = |container: Value| json!({"boot": BOOT, "container": container});
    json!({
        "limits": plain(json!({
            "network": "none",
            "userNamespacing": false,
            "memoryMax": "64M",
            "memoryHigh": "1G",
            "cpuQuota": "50%",
            "cpuWeight": 50,
            "ioWeight": 200,
            "tasksMax": 50,
            "kernelLog": true,
            "oomScoreAdjust": -500,
            "serviceConfig": {"IOReadBandwidthMax": "/dev/vda 1M"},
        })),
        "one": plain(json!({"network": "none", "ipvlan": ["lab0:lan"]})),
        "two": plain(json!({"network": "none", "ipvlan": ["lab0:lan"]})),
        "box": {"boot": SLOW, "container": {"network": "none"}},
    })
    .to_string()
}

/// The functions of the scripts. `group` prints a container's control group; `inside` runs a command in it and in the
/// container's namespaces, `within` only in the control group.
const FUNCTIONS: &str = r#"
    leader() { machinectl show "$1" -P Leader; }
    group() { echo "/sys/fs/cgroup/machine.slice/systemd-nspawn@$1.service"; }
    within() {
        file=/sys/fs/cgroup$(sed 's/^0:://' "/proc/$(leader "$1")/cgroup")/cgroup.procs
        shift
        sh -c 'echo $$ > "$0" && exec "$@"' "$file" "$@"
    }
    inside() { name=$1; shift; within "$name" nsenter -t "$(leader "$name")" -a -- "$@"; }
    is() { [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; exit 1; }; }
"#;

/// Checks of the running containers: what, and a script that fails or prints the reason.
const SCRIPTS: [(&str, &str); 14] = [
    ("memoryMax= is in memory.max", r#"is "$(cat $(group limits)/memory.max)" 67108864"#),
    ("memoryHigh= is in memory.high", r#"is "$(cat $(group limits)/memory.high)" 1073741824"#),
    (
        "a process beyond memoryMax= is killed, and the container is not",
        r#"! within limits sh -c 'head -c 200M /dev/zero | tail -c 200M > /dev/null' 2> /dev/null || exit 1
        grep -E '^oom_kill [1-9]' $(group limits)/memory.events
        systemctl is-active systemd-nspawn@limits.service || { journalctl --no-pager -n 20 -u systemd-nspawn@limits; exit 1; }"#,
    ),
    ("cpuQuota= is in cpu.max", r#"is "$(cat $(group limits)/cpu.max)" '50000 100000'"#),
    ("cpuWeight= is in cpu.weight", r#"is "$(cat $(group limits)/cpu.weight)" 50"#),
    (
        "a process beyond cpuQuota= is throttled",
        r#"within limits timeout 5 sh -c 'while :; do :; done' || true
        grep -E '^nr_throttled [1-9]' $(group limits)/cpu.stat"#,
    ),
    ("ioWeight= is in io.weight", r#"is "$(head -n 1 $(group limits)/io.weight)" 'default 200'"#),
    (
        "ioWeight= is in io.bfq.weight, with the scheduler bfq",
        r#"is "$(head -n 1 $(group limits)/io.bfq.weight)" 'default 109'"#,
    ),
    (
        "IOReadBandwidthMax= of serviceConfig is in io.max, and reads take that long",
        r#"grep -F rbps=1000000 $(group limits)/io.max
        dd if=/dev/zero of=/var/tmp/blob bs=1M count=4 conv=fsync 2> /dev/null
        begin=$(date +%s)
        within limits dd if=/var/tmp/blob of=/dev/null bs=256k iflag=direct 2> /dev/null
        taken=$(($(date +%s) - begin))
        [ $taken -ge 3 ] || { echo "4 MiB were read in $taken s"; exit 1; }"#,
    ),
    (
        "tasksMax= is in pids.max, and more processes are refused",
        r#"is "$(cat $(group limits)/pids.max)" 50
        within limits sh -c 'for i in $(seq 80); do sleep 3 & done; wait' 2> /dev/null || true
        grep -E '^max [1-9]' $(group limits)/pids.events
        # What is left of them would keep the next commands from entering.
        until [ "$(cat $(group limits)/pids.current)" -lt 40 ]; do sleep 0.5; done"#,
    ),
    (
        "a negative oomScoreAdjust= is that of the first process",
        r#"is "$(cat /proc/$(leader limits)/oom_score_adj)" -500"#,
    ),
    (
        "kernelLog lets the container read the kernel's log",
        r#"inside limits dd if=/dev/kmsg bs=8192 count=1 2> /run/said | grep -F , || { cat /run/said; exit 1; }"#,
    ),
    (
        "kernelLog does not let it write there",
        r#"! inside limits sh -c 'echo mine > /dev/kmsg' 2> /run/said || exit 1
        grep -F 'not permitted' /run/said || { cat /run/said; exit 1; }
        ! dmesg | grep -w mine"#,
    ),
    (
        "two containers with ipvlan on a dummy interface reach each other, and the interface is of that type",
        r#"for name in one two; do nsenter -t $(leader $name) -n ip -d link show lan | grep -F ipvlan; done
        nsenter -t $(leader one) -n sh -c 'ip addr add 10.46.0.1/24 dev lan && ip link set lan up'
        nsenter -t $(leader two) -n sh -c 'ip addr add 10.46.0.2/24 dev lan && ip link set lan up'
        nsenter -t $(leader two) -n ping -c 2 -W 10 10.46.0.1"#,
    ),
];

/// Makes all checks on one host.
pub fn run(image: &Image) -> Checks {
    let host = format!("{}, {}", image.suite, image.file_system);
    let mut checks = Checks::default();
    match on_first_boot(image, &host, &mut checks) {
        Ok(()) => {
            let booted = second_boot(image, &host, &mut checks);
            if booted.is_err() {
                checks.put(&host, "a boot with many containers", booted);
            }
        }
        error => checks.put(&host, "a host with containers", error),
    }
    checks
}

fn on_first_boot(image: &Image, host: &str, checks: &mut Checks) -> Result<(), String> {
    let mut vm = Vm::boot(image, &image.disk(), &image.dir().join("first"), Boot::Full)?;
    println!(
        "        {host}: {}",
        vm.run("uname -r; systemctl --version | head -n 1")?.ok()?.replace('\n', " ")
    );
    // Before the containers start: systemd writes a weight when it makes the control group.
    let bfq = vm.run("modprobe bfq && echo bfq > /sys/block/vda/queue/scheduler")?.ok().map(drop);
    checks.put(host, "a scheduler with weights", bfq);
    checks.put(
        host,
        "a dummy interface",
        vm.run("ip link add lab0 type dummy && ip link set lab0 up")?.ok().map(drop),
    );
    ctl(&mut vm, "setup")?;
    for name in ["limits", "one", "two"] {
        ctl(&mut vm, &format!("create {name} --flake {FLAKE}"))?;
    }
    for (what, script) in SCRIPTS {
        let reply = vm.run(&format!("{FUNCTIONS}\n{script}"))?;
        checks.put(host, what, reply.ok().map(drop));
    }
    ctl(&mut vm, "remove limits one two --delete-state")?;
    ctl(&mut vm, &format!("create box --flake {FLAKE} --no-start"))?;
    vm.run(&format!(
        r#"cd /etc/nixos-nspawn
        for i in $(seq {}); do sed 's/"name": "box"/"name": "box-'$i'"/' box.json > box-$i.json; done
        printf '[Host]\nBootLimit={LIMIT}\n' > /etc/nixos-nspawn.conf"#,
        COUNT - 1
    ))?
    .ok()?;
    ctl(&mut vm, "setup")?;
    vm.power_off()
}

fn second_boot(image: &Image, host: &str, checks: &mut Checks) -> Result<(), String> {
    let mut vm = Vm::boot(image, &image.dir().join("first"), &image.dir().join("second"), Boot::Full)?;
    let script = format!(
        r#"names=$(echo systemd-nspawn@box.service; for i in $(seq {}); do echo "systemd-nspawn@box-$i.service"; done)
        for name in $names; do
            systemctl show --value -p ActiveState -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic $name |
                tr '\n' ' '
            echo
        done"#,
        COUNT - 1
    );
    let answer = vm.run(&script)?.ok()?;
    let starts: Vec<(u64, u64)> = answer.lines().filter_map(start).collect();
    let all =
        if starts.len() == COUNT { Ok(()) } else { Err(format!("{} are active: {answer}", starts.len())) };
    checks.put(host, &format!("{COUNT} containers start with the host"), all);
    let at_once =
        |one: &(u64, u64)| starts.iter().filter(|other| other.0 <= one.0 && one.0 < other.1).count();
    let most = starts.iter().map(at_once).max().unwrap_or_default();
    let limited = if most == LIMIT { Ok(()) } else { Err(format!("at most {most} at once: {answer}")) };
    checks.put(host, &format!("at most {LIMIT} of them at the same time, with bootLimit"), limited);
    let state = vm.run("systemctl is-system-running || systemctl --failed")?.out;
    let well = if state.trim() == "running" { Ok(()) } else { Err(state) };
    checks.put(host, "nothing has failed on that host", well);
    Ok(())
}

/// Returns when a container began to start, and when it had started.
fn start(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace().collect::<Vec<_>>();
    let at = words.iter().position(|word| *word == "active")?;
    words.remove(at);
    match words[..] {
        [one, other] => {
            let (one, other): (u64, u64) = (one.parse().ok()?, other.parse().ok()?);
            Some((one.min(other), one.max(other)))
        }
        _ => None,
    }
}

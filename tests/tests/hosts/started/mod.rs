//! Random containers that really start: each value is in force as the intent says. `NIXOS_NSPAWN_STARTED` is the number of
//! containers on each host, and `NIXOS_NSPAWN_STARTED_SEED` makes others.

mod values;

use nixos_nspawn_tests::host::{BOOT, FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::random::Random;
use serde_json::json;

use values::Sample;

on_both_hosts!(values_are_in_force);

/// The number of containers that run at the same time.
const AT_ONCE: usize = 6;

/// What separates answers.
const END: char = '\u{1e}';

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn values_are_in_force(host: &Host) {
    host.install(bins());
    host.sh("mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod -m 0666 /dev/net/tun c 10 200
        [ -e /dev/kmsg ] || mknod -m 0644 /dev/kmsg c 1 11");
    host.own(&json!({"box": {"boot": BOOT}}));
    host.ctl_ok(&["create", "box", "--flake", FLAKE, "--no-start"]);
    let toplevel = host.intent("box")["toplevel"].clone();
    let mut random = Random::new(number("NIXOS_NSPAWN_STARTED_SEED", 1) as u64);
    let count = number("NIXOS_NSPAWN_STARTED", AT_ONCE);
    let all: Vec<Sample> = (0..count).map(|at| Sample::new(at, &mut random)).collect();
    let mut values = 0;
    for samples in all.chunks(AT_ONCE) {
        for sample in samples {
            let intent = json!({"version": 1, "toplevel": toplevel, "container": sample.options});
            host.write(&format!("/etc/nixos-nspawn/{}.json", sample.name), intent.to_string(), 0o644);
            host.sh(&format!("mkdir -p /srv/{0} /var/lib/machines/{0}\n{1}", sample.name, sample.prepare));
        }
        host.ok(&["systemctl", "daemon-reload"]);
        let units: Vec<String> = samples.iter().map(|sample| unit(&sample.name)).collect();
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        host.ok(&[&["systemctl", "start"], &units[..]].concat());
        for sample in samples {
            values += sample.checks.len();
            check(host, sample);
        }
        host.ok(&[&["systemctl", "stop"], &units[..]].concat());
        for Sample { name, .. } in samples {
            host.sh(&format!("rm -rf /etc/nixos-nspawn/{name}.json /srv/{name} /var/lib/machines/{name}"));
        }
    }
    eprintln!("systemd {}: {values} values of {count} containers", host.systemd());
}

/// Compares all values of a running container.
fn check(host: &Host, sample: &Sample) {
    let name = &sample.name;
    let mut script =
        format!("unit={}; leader=$(machinectl show {name} -P Leader); root=/proc/$leader/root\n", unit(name));
    for check in &sample.checks {
        script += &format!("{{ {}; }} 2>&1; printf '\\036'\n", check.ask);
    }
    let said = host.run(&["sh", "-uc", &script]).stdout;
    let answers: Vec<&str> = said.split(END).map(str::trim_end).collect();
    let options = serde_json::Value::Object(sample.options.clone());
    assert_eq!(answers.len(), sample.checks.len() + 1, "{options:#}\n{said}");
    for (answer, check) in answers.iter().zip(&sample.checks) {
        assert_eq!(*answer, check.answer, "{name}: {}\n{options:#}", check.ask);
    }
}

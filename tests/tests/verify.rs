//! Every golden output is read by the parsers of systemd 252, 257 and 262: `systemd-analyze verify`, `systemd-nspawn` and
//! `systemd-networkd` must not complain. A check that cannot run fails.

use std::fs;
use std::process::Command;

use nixos_nspawn_tests::golden::{Root, cases};
use nixos_nspawn_tests::manifest::paths;
use nixos_nspawn_tests::systemd::{Input, Systemd};
use nixos_nspawn_units::boot::SLICE;
use nixos_nspawn_units::network::RUNTIME_LEASES;
use nixos_nspawn_units::store::{Trust, load};
use nixos_nspawn_units::version::{ACTIVATING_CONCURRENCY_MAX, need};
use serde_json::Value;
use systemd_unit_syntax::parse;

#[test]
fn systemd_accepts_every_golden_output_without_a_message() {
    let roots: Vec<(String, Root)> = cases()
        .into_iter()
        .map(|case| {
            let root = case.root();
            root.generate();
            (case.name, root)
        })
        .collect();
    let inputs: Vec<Input> = roots
        .iter()
        .map(|(name, root)| Input { name: name.clone(), units: root.units(), programs: programs(root) })
        .collect();
    let needs: Vec<u32> = roots.iter().map(|(_, root)| needs(root)).collect();
    // Each version reads only the cases that need no newer one; every case must be read by some version.
    assert!(needs.contains(&261) && needs.contains(&262), "no case needs a new systemd: {needs:?}");
    let mut failed = Vec::new();
    for systemd in Systemd::all() {
        let known = inputs.iter().zip(&needs).filter(|(_, needs)| **needs <= systemd.version);
        let inputs: Vec<Input> = known.map(|(input, _)| input.clone()).collect();
        eprintln!("systemd {}: {} inputs", systemd.version, inputs.len());
        for complaint in systemd.complaints(&inputs) {
            failed.push(format!(
                "== systemd {}, case {} ==\n{}",
                systemd.version, complaint.input, complaint.text
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// These parsers do report faults, so the test above can fail.
#[test]
fn systemd_reports_faults() {
    let root = Root::empty();
    root.outputs();
    let units = root.units();
    fs::create_dir_all(units.join("nixos-nspawn")).expect("new");
    fs::create_dir_all(units.join("systemd-nspawn@web.service.d")).expect("new");
    let nspawn = "[Exec]\nBoot=no\nParameters=/init\nNoSuchSetting=1\nKillSignal=SIGNOTHING\n";
    fs::write(units.join("nixos-nspawn/web.nspawn"), nspawn).expect("written");
    let drop_in = "[Service]\nNoSuchSetting=1\nExecStartPre=/missing/program\nTimeoutStartSec=soon\n";
    fs::write(units.join("systemd-nspawn@web.service.d/50.conf"), drop_in).expect("written");
    fs::write(units.join("nixos-nspawn/50-web.network"), "[Network]\nAdress=1\nDHCPServer=perhaps\n")
        .expect("written");
    let proxy = units.join("nixos-nspawn-proxy@web-tcp-80");
    let unit = "[Unit]\nNoSuchUnit=1\n";
    fs::write(proxy.with_extension("socket"), format!("{unit}[Socket]\nListenStream=web:80\n"))
        .expect("written");
    fs::write(proxy.with_extension("service"), format!("{unit}[Service]\nExecStart=/missing/proxy\n"))
        .expect("written");
    let inputs = [Input { name: "faults".to_owned(), units, programs: Vec::new() }];
    for systemd in Systemd::all() {
        let text =
            systemd.complaints(&inputs).into_iter().map(|complaint| complaint.text).collect::<String>();
        for word in [
            "NoSuchSetting",
            "SIGNOTHING",
            "/missing/program",
            "soon",
            "exit status 1",
            "Adress",
            "perhaps",
            "NoSuchUnit",
            "web:80",
            "/missing/proxy",
        ] {
            assert!(text.contains(word), "systemd {} says nothing of {word}: {text}", systemd.version);
        }
    }
}

/// Returns the systemd version that a case's output needs, at most that of its host.json; 0 for any.
fn needs(root: &Root) -> u32 {
    let host = load(&root.path(), Trust { also: None }).host;
    let mut needs = 0;
    for path in paths(&root.units()) {
        if path.extension().is_some_and(|extension| extension == "nspawn") {
            let text = fs::read(root.units().join(&path)).expect("readable");
            needs = needs.max(need(&parse(&text).expect("a file").file).map_or(0, |need| need.since));
        } else if path.as_os_str() == SLICE {
            needs = needs.max(ACTIVATING_CONCURRENCY_MAX);
        } else if path.extension().is_some_and(|extension| extension == "network") {
            let text = fs::read_to_string(root.units().join(&path)).expect("readable");
            if text.contains("\nLocalLeaseDomain=") {
                needs = needs.max(RUNTIME_LEASES);
            }
        }
    }
    assert!(needs <= host.systemd, "systemd {needs} is needed, the host has {}", host.systemd);
    needs
}

/// Returns the programs that a case's units name: the unit helper and reload scripts. Programs of systemd come from the
/// tested version.
fn programs(root: &Root) -> Vec<String> {
    let mut programs = vec![root.helper()];
    for entry in fs::read_dir(root.intents()).into_iter().flatten().flatten() {
        // A refused intent names no programs.
        let name = entry.file_name().into_string().unwrap_or_default();
        let settings = name.strip_suffix(".json").map(|name| format!("nixos-nspawn/{name}.nspawn"));
        if !settings.is_some_and(|settings| root.units().join(settings).exists()) {
            continue;
        }
        let intent: Option<Value> =
            fs::read(entry.path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let script = intent.as_ref().and_then(|intent| intent.pointer("/container/activation/reloadScript"));
        programs
            .extend(script.and_then(Value::as_str).filter(|path| path.starts_with('/')).map(str::to_owned));
    }
    programs
}

/// We parse time spans like systemd.
#[test]
fn time_spans_are_read_as_systemd_reads_them() {
    use nixos_nspawn_units::value::Timespan;
    let texts = [
        "90s",
        "5min 20s",
        "1.5h",
        "2",
        "600",
        "0",
        "500ms",
        "1d12h",
        "1w",
        "1M",
        "1y",
        "2months",
        "3 weeks",
        "1us",
        "1 s",
        "1.5",
        ".5s",
        "1.s",
        "infinity",
        "1h30min",
        "7days",
        "10µs",
        "10μs",
        "0.1ms",
        "1.000001s",
        "  5s",
    ];
    for text in texts {
        let output =
            Command::new("systemd-analyze").args(["timespan", "--", text]).output().expect("systemd-analyze");
        let theirs = String::from_utf8(output.stdout).expect("UTF-8");
        let theirs = theirs.lines().find_map(|line| line.trim().strip_prefix("μs: ").map(str::to_owned));
        let ours = text.parse::<Timespan>().ok().and_then(|span| span.microseconds());
        match theirs.as_deref() {
            // systemd prints the largest number for infinity; a timeout of 0 means none.
            Some("18446744073709551615" | "0" | "infinity") => assert_eq!(ours, None, "{text:?}"),
            Some(number) => assert_eq!(ours.map(|us| us.to_string()).as_deref(), Some(number), "{text:?}"),
            None => assert!(text.parse::<Timespan>().is_err(), "systemd refuses {text:?}, we do not"),
        }
    }
    for text in ["", "s", "-5s", "5 parsecs", "1..5s", "5s x", "lots", "1,5s", "0x10", "٣s"] {
        let output =
            Command::new("systemd-analyze").args(["timespan", "--", text]).output().expect("systemd-analyze");
        assert!(!output.status.success(), "systemd takes {text:?}");
        assert!(text.parse::<Timespan>().is_err(), "{text:?}");
    }
}

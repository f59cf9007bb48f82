//! Archives: a container moves to another place with all of its state, or nothing of it is left.

use nixos_nspawn_tests::host::{FLAKE, Host};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

use super::rename::{fill, named, state};
use super::{assert_half, killed, settle, stoppable};

on_both_hosts!(archives, archives_on_btrfs);

fn archives(host: &Host) {
    host.install(stoppable());
    host.own(&json!({"web": {"page": "first\n"}, "ports": {"container": {"forwardPorts": ["8080:80"]}}}));
    for name in ["web", "ports", "stopped"] {
        host.ctl_ok(&["create", name, "--flake", FLAKE, "--no-start"]);
    }
    host.ctl_ok(&["start", "web"]);
    fill(host, "web");
    let of = state(host, "web");
    let (file, running) = ("/root/web.tar", host.ctl(&["export", "web", "-o", "/root/web.tar"]));
    assert!(running.code() == 10 && running.stderr.contains("is running, and its state is not"), "{running}");
    host.ctl_ok(&["stop", "web"]);
    let would = host.ctl_ok(&["export", "web", "-o", file, "--dry-run"]);
    assert!(would.stdout.contains("store paths and its state") && !host.exists(file), "{would}");
    for place in ["export-begun", "export-closure"] {
        killed(host, place, &["export", "web", "-o", file]);
        assert_eq!(host.sh("ls -A /root | grep -c 'tar\\|tmp' || true"), "0\n", "{place}");
    }
    let exported = host.ctl_ok(&["export", "web", "-o", file, "--json"]);
    let answer: Value = serde_json::from_str(&exported.stdout).expect("JSON");
    assert_eq!(answer["size"].as_u64().unwrap().to_string(), host.sh(&format!("stat -c %s {file}")).trim());
    assert_eq!(host.sh(&format!("stat -c '%a %U' {file}")), "600 root\n");
    let again = host.ctl(&["export", "web", "-o", file]);
    assert!(again.code() == 10 && again.stderr.contains("already exists"), "{again}");
    assert_eq!(host.ctl(&["export", "nobody"]).code(), 2);
    // Other programs can read it.
    let listed = host.sh(&format!("tar -tf {file} 2> /dev/null"));
    assert!(
        listed.starts_with("nixos-nspawn.json\nclosure/00000000\n") && listed.contains("state/srv/data\n"),
        "{listed}"
    );

    let before = host.traces();
    let import = ["import", "archive", file, "--name", "copy"];
    let would = host.ctl_ok(&[&import[..], &["--dry-run"]].concat());
    assert!(would.stdout.contains("container 'copy', which was 'web'"), "{would}");
    bad_input(host, file);
    host.assert_no_traces_since(&before);

    for (at, place) in
        ["import-closure", "copy-begun", "import-made", "import-filled", "copy-kept", "copy-complete"]
            .iter()
            .enumerate()
    {
        killed(host, place, &import);
        if at == 3 {
            assert_eq!(host.power_cut(), "running");
        }
        if at > 0 {
            assert_half(host, "copy", "half created");
        }
        settle(host);
        assert_eq!(named(host, "copy"), "", "{place}");
    }
    killed(host, "copy-recorded", &import);
    settle(host);
    host.assert_agreed("copy");
    assert_eq!(state(host, "copy"), of);
    host.ctl_ok(&["remove", "copy", "--delete-state"]);

    // To a host that has nothing of it.
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    let toplevel = host.intent("stopped")["toplevel"].as_str().unwrap().to_owned();
    host.sh("rm -rf /nix/var/nix/gcroots/auto/*; nix-collect-garbage -d > /dev/null 2>&1");
    assert!(host.exists(&toplevel), "the garbage collector keeps what is recorded");
    host.ctl_ok(&["import", "archive", file]);
    host.assert_agreed("web");
    assert_eq!((state(host, "web"), host.state("web").as_str()), (of, "inactive"));
    host.ctl_ok(&["start", "web"]);
    assert_eq!(host.page_of("web"), "first\n");
}

/// Imports what cannot be imported, at least not as it is.
fn bad_input(host: &Host, file: &str) {
    host.ctl_ok(&["export", "ports", "-o", "/root/ports.tar"]);
    host.sh(&format!(
        "cd /root; size=$(stat -c %s {file}); head -c $((size / 2)) {file} > half; head -c $((size - 2048)) {file} > cut
        cp {file} flipped; printf x | dd of=flipped bs=1 seek=$((size - 5000)) conv=notrunc 2> /dev/null
        tar -cf other.tar -C /etc hostname; echo text > text; : > empty; mkfifo fifo
        mkdir newer; printf '{{\"version\": 99}}' > newer/nixos-nspawn.json; tar -cf newer.tar -C newer nixos-nspawn.json"
    ));
    for (words, code, text) in [
        (&["/root/half"][..], 10, "cut"),
        (&["/root/cut"], 10, "cut"),
        (&["/root/flipped"], 10, "damaged"),
        (&["/root/other.tar"], 10, "is not an archive of nixos-nspawn"),
        (&["/root/text"], 10, "is not an archive of nixos-nspawn"),
        (&["/root/empty"], 10, "is"),
        (&["/root/fifo"], 10, "is not a regular file"),
        (&["/root"], 10, "is not a regular file"),
        (&["/root/none"], 2, "cannot be opened"),
        (&["/root/newer.tar"], 10, "version 99, which this nixos-nspawn does not know"),
        (&[file], 10, "already exists"),
        (&[file, "--name", "sh/op"], 2, ""),
        (&["/root/ports.tar", "--name", "copy"], 10, "8080"),
    ] {
        let refused = host.ctl(&[&["import", "archive"], words].concat());
        assert!(refused.code() == code && refused.stderr.contains(text), "{words:?}: {refused}");
    }
    host.ctl_ok(&["import", "archive", "/root/ports.tar", "--name", "copy", "--port", "8081:80"]);
    assert!(host.intent("copy")["container"]["forwardPorts"].to_string().contains("8081"));
    host.ctl_ok(&["remove", "copy"]);
    let nobody =
        ["setpriv", "--reuid=nobody", "--clear-groups", "nixos-nspawn", "import", "archive", "/etc/hostname"];
    assert_eq!(host.run(&nobody).code(), 10);
}

fn archives_on_btrfs(host: &Host) {
    host.mount_btrfs();
    host.install(stoppable());
    host.own(
        &json!({"web": {"page": "first\n", "container": {"activation": {"snapshot": true}}}, "stopped": {}}),
    );
    host.create("web");
    host.ctl_ok(&["create", "stopped", "--flake", FLAKE, "--no-start"]);
    fill(host, "web");
    let of = state(host, "web");
    let export = ["export", "web", "-o", "/root/web.tar"];
    killed(host, "export-snapshot", &export);
    host.ctl_ok(&export);
    assert_eq!(host.sh("ls -A /var/lib/machines | grep -c export || true"), "0\n");
    host.ctl_ok(&["import", "archive", "/root/web.tar", "--name", "copy"]);
    assert_eq!(state(host, "copy"), of);
    host.sh("btrfs subvolume show /var/lib/machines/copy");
    host.ctl_ok(&["start", "copy"]);
    // Too little room.
    host.sh("truncate -s 600M /var/lib/machines/web/srv/huge");
    host.ctl_ok(&["export", "web", "-o", "/root/huge.tar"]);
    let full = host.ctl(&["import", "archive", "/root/huge.tar", "--name", "big"]);
    assert!(full.code() == 10 && full.stderr.contains("MiB are free"), "{full}");
    assert!(!host.exists("/var/lib/machines/big"));
}

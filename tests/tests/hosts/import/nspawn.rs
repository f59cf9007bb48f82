//! Foreign `.nspawn` files.

use nixos_nspawn_tests::host::{Host, unit};
use serde_json::json;

const FILE: &str = "/etc/systemd/nspawn/own.nspawn";

/// Runs `import nspawn` for a file that is refused, and changes nothing.
fn refused(host: &Host, file: &str, code: i32, why: &str) {
    let before = host.traces();
    let output = host.ctl(&["import", "nspawn", file]);
    assert_eq!(output.code(), code, "{output}");
    assert!(output.stderr.contains(why), "{why}: {output}");
    host.assert_no_traces_since(&before);
}

/// A running container is restarted as ours, and given back.
pub fn with_the_hosts_store(host: &Host, system: &str) {
    let text = format!(
        "[Exec]\nBoot=no\nParameters={system}/init\nKillSignal=SIGRTMIN+3\nNotifyReady=yes\nPrivateUsers=no\n\
         Frob=1\n\n[Files]\nBindReadOnly=/nix/store\nBindReadOnly=/srv/pages:/pages\n\n[Network]\nPrivate=yes\n"
    );
    host.write(FILE, &text, 0o644);
    host.sh(
        "mkdir -p /var/lib/machines/own/etc /var/lib/machines/own/usr /var/lib/machines/own/srv /srv/pages
        mkdir -p /var/lib/machines/own/nix/var/nix/db /var/lib/machines/own/nix/var/nix/profiles
        echo kept > /var/lib/machines/own/srv/file; echo pages > /srv/pages/index
        touch /var/lib/machines/own/etc/os-release",
    );
    host.ok(&["systemctl", "enable", "--now", &unit("own")]);
    let before = host.traces();
    let nspawn = host.nspawn("own");
    let dry = host.ctl_ok(&["import", "nspawn", FILE, "--dry-run"]).stdout;
    for line in [
        "would move /etc/systemd/nspawn/own.nspawn to /etc/systemd/nspawn/own.nspawn.imported\n",
        "option: network = none\n",
        "no counterpart: [Exec] Frob=1 is not a setting of systemd-nspawn\n",
        "container 'own' would be imported, and run; it starts with the host\n",
    ] {
        assert!(dry.contains(line), "{line}: {dry}");
    }
    host.assert_no_traces_since(&before);
    assert_eq!(host.nspawn("own"), nspawn);

    host.ctl_ok(&["import", "nspawn", FILE]);
    host.assert_agreed("own");
    assert_eq!(host.state("own"), "active");
    assert_ne!(host.nspawn("own"), nspawn, "one restart");
    assert!(!host.exists(FILE));
    assert_eq!(host.file(&format!("{FILE}.imported")), text);
    assert_eq!(host.inside("own", &["cat", "/srv/file", "/pages/index"]), "kept\npages\n");
    assert!(!host.run_inside("own", &["touch", "/pages/index"]).success(), "read-only stays read-only");
    let intent = host.intent("own");
    assert_eq!((&intent["toplevel"], &intent["source"]["profile"]), (&json!(system), &json!(system)));
    refused(host, FILE, 2, "own.nspawn: does not exist");

    let undone = host.ctl_ok(&["import", "--undo", "own"]);
    assert!(undone.stdout.contains("'systemctl start systemd-nspawn@own.service' starts it"), "{undone}");
    assert_eq!(host.file(FILE), text);
    assert_eq!(host.ok(&["systemctl", "is-enabled", &unit("own")]), "enabled\n");
    host.ok(&["systemctl", "start", &unit("own")]);
    host.assert_no_traces_since(&before);
    assert_eq!(host.inside("own", &["cat", "/srv/file"]), "kept\n");
    refusals(host);
}

fn refusals(host: &Host) {
    refused(host, "/root/own.nspawn", 2, "is not a file /etc/systemd/nspawn/NAME.nspawn");
    let drop_in = format!("/etc/systemd/system/{}.d/own.conf", unit("own"));
    host.write(&drop_in, "[Service]\nExecStart=\nExecStart=/usr/bin/systemd-nspawn --machine=own\n", 0o644);
    refused(host, FILE, 10, "own.conf: sets ExecStart=");
    host.sh(&format!("rm -r $(dirname {drop_in})"));
    host.ok(&["systemctl", "disable", "--now", &unit("own")]);
    host.write(FILE, "[Exec]\nBoot=no\nParameters=/bin/sh\n", 0o644);
    refused(host, FILE, 10, "Boot=no runs a program, not a system");
    host.write(FILE, "[Exec]\n", 0o644);
    refused(host, FILE, 10, "/var/lib/machines/own: is no NixOS");
    host.sh("mkdir -p /var/lib/machines/own/nix/var/nix/profiles; ln -s /nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-none /var/lib/machines/own/nix/var/nix/profiles/system");
    refused(host, FILE, 10, "57-none: is neither in the host's store nor, with a Nix database, in that of");
    host.write("/etc/systemd/nspawn/none.nspawn", "[Exec]\n", 0o644);
    refused(host, "/etc/systemd/nspawn/none.nspawn", 10, "/var/lib/machines/none: does not exist");
    host.sh("rm /etc/systemd/nspawn/none.nspawn");
}

/// The system is copied from the store of the root, if its database proves it and the administrator trusts it.
pub fn with_a_store_of_its_own(host: &Host) {
    let system = host.built_system("apart\n");
    let root = "/var/lib/machines/apart";
    host.sh(&format!(
        "mkdir -p {root}/etc {root}/usr {root}/srv; echo kept > {root}/srv/file
        nix copy --no-check-sigs --to 'local?root={root}' {system}
        ln -s system-1-link {root}/nix/var/nix/profiles/system
        ln -s {system} {root}/nix/var/nix/profiles/system-1-link
        nix-store --delete $(nix-store --query --referrers-closure {system})"
    ));
    assert!(!host.exists(system.as_str()));
    let file = "/etc/systemd/nspawn/apart.nspawn";
    host.write(file, "[Exec]\nHostname=box\nPrivateUsers=no\n", 0o644);
    let dry = host.ctl_ok(&["import", "nspawn", file, "--dry-run"]).stdout;
    assert!(
        dry.contains("would copy store paths from /var/lib/machines/apart to the store of the host: 1\n"),
        "{dry}"
    );
    refused(host, file, 10, "--allow-unsigned trusts what root in the container has put there");
    // A database that is none, and one behind a link.
    host.sh(&format!("mv {root}/nix/var/nix/db /srv/db; mkdir {root}/nix/var/nix/db; echo x > {root}/nix/var/nix/db/db.sqlite"));
    refused(host, file, 10, "its Nix database does not prove");
    host.sh(&format!("rm -r {root}/nix/var/nix/db; ln -s /srv/db {root}/nix/var/nix/db"));
    refused(host, file, 10, "nor, with a Nix database, in that of");
    host.sh(&format!("rm {root}/nix/var/nix/db; mv /srv/db {root}/nix/var/nix/db"));
    assert!(!host.exists(system.as_str()));

    let imported = host.ctl_ok(&["import", "nspawn", file, "--allow-unsigned", "--start"]);
    assert!(
        imported
            .stdout
            .contains("copied store paths from /var/lib/machines/apart to the store of the host: 1\n"),
        "{imported}"
    );
    host.assert_agreed("apart");
    host.ok(&["nix-store", "--verify-path", &system]);
    assert_eq!(host.inside("apart", &["cat", "/run/current-system/etc/page", "/srv/file"]), "apart\nkept\n");
    assert_eq!(host.inside("apart", &["hostname"]), "box\n");
    host.ctl_ok(&["import", "--undo", "apart"]);
    assert!(host.exists(&format!("{root}{system}")) && host.exists(file));
}

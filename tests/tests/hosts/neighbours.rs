//! Containers beside broken ones, foreign ones, many others, and other generators that fail.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(
    broken_intents_are_visible_and_harm_nobody,
    directory_of_intents_is_no_directory,
    running_container_with_broken_intent,
    masked_generator,
    failing_generators_of_others,
    twenty_at_boot,
    foreign_containers_are_left_alone,
);

fn broken_intents_are_visible_and_harm_nobody(host: &Host) {
    host.install(bins());
    host.create("web");
    let good = host.file("/etc/nixos-nspawn/web.json");

    // Each with the file, position and reason that its status must show.
    let unknown =
        good.replace(r#""version""#, "\"bindMount\": [],\n  \"version\"").replace("\"web\"", "\"unknown\"");
    host.write("/etc/nixos-nspawn/unknown.json", &unknown, 0o644);
    host.write("/etc/nixos-nspawn/cut.json", &good[..good.len() / 2], 0o644);
    host.write("/etc/nixos-nspawn/open.json", good.replace("\"web\"", "\"open\""), 0o666);
    host.ok(&["ln", "-s", "/root/elsewhere.json", "/etc/nixos-nspawn/link.json"]);
    host.write("/root/elsewhere.json", good.replace("\"web\"", "\"link\""), 0o644);
    host.ok(&["mkfifo", "/etc/nixos-nspawn/fifo.json"]);
    host.write("/etc/nixos-nspawn/under_score.json", &good, 0o644);

    let check = || {
        assert_eq!(host.state("web"), "active");
        assert_eq!(host.page_of("web"), "Hello from web.\n");
        for (name, words) in [
            ("unknown", vec!["unknown.json", "bindMount", ":2"]),
            ("cut", vec!["cut.json:", "JSON"]),
            ("open", vec!["open.json", "writable"]),
            ("link", vec!["link.json", "link"]),
            ("fifo", vec!["fifo.json", "regular file"]),
        ] {
            // Retried: systemctl omits messages from the moment before systemd records the start time.
            let mut status = String::new();
            host.wait_until(&format!("the status of {name} says why it is refused"), || {
                host.run(&["systemctl", "start", &unit(name)]);
                assert_eq!(host.state(name), "failed", "{name}");
                status = host.status(name);
                words.iter().all(|word| status.contains(word))
            });
            assert!(status.contains("78/CONFIG"), "{name}: {status}");
            assert!(
                !host.exists(&format!("/run/systemd/nspawn/{name}.nspawn")),
                "{name} is refused, but was prepared"
            );
            assert!(!host.exists(&format!("/var/lib/machines/{name}")), "{name} is refused, but has a root");
        }
        // No unit can have this name; it is listed nevertheless.
        assert!(host.ctl_ok(&["list"]).stdout.contains("under_score.json"));
    };
    host.ok(&["systemctl", "daemon-reload"]);
    check();
    assert_eq!(host.reboot(), "degraded");
    // The start at boot failed, and the status shows it.
    assert_eq!(host.state("cut"), "failed");
    check();

    // Refusals do not count against a start limit: after the repair it starts at once.
    for _ in 0..7 {
        host.run(&["systemctl", "start", &unit("open")]);
    }
    assert_eq!(host.property("open", "Result"), "exit-code");
    host.ok(&["chmod", "644", "/etc/nixos-nspawn/open.json"]);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ok(&["systemctl", "start", &unit("open")]);
    assert_eq!(host.state("open"), "active");
}

/// If the directory itself cannot be used, no command treats its containers as missing.
fn directory_of_intents_is_no_directory(host: &Host) {
    host.install(bins());
    host.create("web");
    let reason = "/etc/nixos-nspawn: is a symbolic link, must be a directory";
    host.sh(
        "mv /etc/nixos-nspawn /etc/elsewhere && ln -s elsewhere /etc/nixos-nspawn && systemctl daemon-reload",
    );
    assert_eq!(host.state("web"), "active");
    let listed = host.ctl(&["list"]);
    assert!(listed.text().contains(reason) && listed.text().contains("web"), "{listed}");
    for words in [
        &["update", "web"][..],
        &["update", "--all"],
        &["remove", "web"],
        &["remove", "other"],
        &["activate", "web"],
        &["rollback", "web"],
        &["create", "other", "--flake", FLAKE],
    ] {
        let output = host.ctl(words);
        assert!(!output.success() && output.text().contains("is a symbolic link"), "{words:?}: {output}");
        assert!(
            !output.text().contains("rm -r") && !output.text().contains("there is no container"),
            "{output}"
        );
    }
    assert_eq!(host.state("web"), "active");
    // The bare template would start with the leftovers in /run.
    assert!(!host.run(&["systemctl", "restart", &unit("web")]).success());
    let journal = host.unit_journal("web");
    assert!(journal.contains("is in /etc/nixos-nspawn, which is a symbolic link"), "{journal}");
    assert!(host.exists("/nix/var/nix/profiles/per-nspawn/web/system"));
    // Without any directory, the reason is reported, and nothing is deleted.
    host.sh("rm /etc/nixos-nspawn && touch /etc/nixos-nspawn");
    for words in [&["update", "web"][..], &["remove", "web"], &["list"]] {
        let output = host.ctl(words);
        let text = output.text().to_lowercase();
        assert!(
            text.contains("/etc/nixos-nspawn: ") && text.contains("not a directory"),
            "{words:?}: {output}"
        );
        assert!(!output.text().contains("rm -r"), "{output}");
    }
    host.sh("rm /etc/nixos-nspawn && mv /etc/elsewhere /etc/nixos-nspawn && systemctl daemon-reload");
    host.ok(&["systemctl", "restart", &unit("web")]);
    assert_eq!(host.state("web"), "active");
}

fn running_container_with_broken_intent(host: &Host) {
    host.install(bins());
    host.create("web");
    host.write("/etc/nixos-nspawn/web.json", "{", 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(host.state("web"), "active");
    let shown = host.ctl(&["show", "web"]);
    assert!(shown.text().contains("next start") && shown.text().contains("web.json"), "{shown}");
    let listed = host.ctl_ok(&["list"]);
    assert!(listed.stdout.contains("web"), "{listed}");
    assert_eq!(host.state("web"), "active", "looking stops nothing");
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    host.run(&["systemctl", "restart", &unit("web")]);
    assert_eq!(host.state("web"), "failed");
    assert!(host.unit_journal("web").contains("78/CONFIG"));
    assert!(!host.exists("/run/systemd/nspawn/web.nspawn"), "the copy of the last run is gone");
    // It can be removed nevertheless.
    host.ctl_ok(&["remove", "web"]);
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
}

fn masked_generator(host: &Host) {
    host.install(bins());
    host.create("web");
    host.create("stopped");
    host.ok(&["systemctl", "stop", &unit("stopped")]);
    let [timer, service] =
        ["timer", "service"].map(|kind| format!("/etc/systemd/system/nixos-nspawn-update.{kind}"));
    host.ctl_ok(&["setup", "--auto-update"]);
    assert!(host.exists(&timer) && host.exists(&service));
    let mask = "/etc/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!("mkdir -p /etc/systemd/system-generators && ln -s /dev/null {mask}"));
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(host.state("web"), "active", "a running container keeps what it was started with");
    assert_eq!(host.property("web", "DropInPaths"), "");
    assert!(!host.sh("ls -R /run/systemd/generator").contains("nspawn"));
    host.ok(&["systemctl", "stop", &unit("web")]);
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "inactive");

    // The mask is the administrator's: neither command replaces or deletes it, and no other file is removed.
    for words in [&["setup"][..], &["setup", "--remove"]] {
        let refused = host.ctl(words);
        assert_eq!(refused.code(), 10, "{refused}");
        assert!(refused.stderr.contains(&format!("{mask}: masks the generator")), "{refused}");
        assert_eq!(host.sh(&format!("readlink {mask}")), "/dev/null\n");
        assert!(host.exists(&timer), "{words:?}");
    }
    host.sh(&format!("systemctl disable --now nixos-nspawn-update.timer; rm {timer} {service}"));
    // A unit that we did not install stays, with and without a calendar event.
    host.write(&timer, "[Timer]\nOnCalendar=daily\n", 0o644);
    for words in [&["setup", "--auto-update"][..], &["setup", "--auto-update=daily"]] {
        let refused = host.ctl(words);
        assert_eq!(refused.code(), 10, "{refused}");
        assert!(
            refused.stderr.contains(&format!("{timer}: was not written by 'nixos-nspawn setup'")),
            "{refused}"
        );
    }
    host.ok(&["rm", &timer]);
    host.ok(&["rm", mask]);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ctl_ok(&["autostart"]);
    assert_eq!(host.state("web"), "active");
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    // If an intent is deleted while its container runs, the unit loses its ExecStopPost=. A later command removes what
    // that would have removed.
    host.ok(&["rm", "/etc/nixos-nspawn/web.json"]);
    host.ok(&["systemctl", "daemon-reload"]);
    let profile = "/nix/var/nix/profiles/per-nspawn/web may not belong to nixos-nspawn and is kept, \
                   'rm -r /nix/var/nix/profiles/per-nspawn/web' deletes it\n";
    assert_eq!(
        host.ctl_ok(&["remove", "web"]).stdout,
        format!(
            "there is no container 'web'; {0} is running, 'systemctl stop {0}' stops it; {profile}",
            unit("web")
        )
    );
    assert!(host.ctl_ok(&["list"]).stdout.contains("web: still runs, but no longer has a file in"));
    host.ok(&["systemctl", "stop", &unit("web")]);
    let listed = host.ctl_ok(&["list"]);
    assert!(!listed.stdout.contains("web"), "{listed}");
    assert_eq!(host.ctl_ok(&["remove", "web"]).stdout, format!("there is no container 'web'; {profile}"));
    assert!(!host.exists("/run/systemd/nspawn/web.nspawn"));
    assert!(!host.exists("/nix/var/nix/gcroots/nixos-nspawn/web-running"));
}

fn failing_generators_of_others(host: &Host) {
    host.install(bins());
    host.create("web");
    let before = host.traces();

    // If a generator dies from a signal, the output of the others is lost, but a reload still succeeds: the bare template
    // would start on our root. Here our generator dies, so that its output is lost every time.
    let ours = "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!("mv {ours} /usr/local/libexec/generator"));
    let dying =
        "#!/bin/sh\n[ \"$1\" = --version ] && exec /usr/local/libexec/generator --version\nkill -KILL $$\n";
    host.write(ours, dying, 0o755);
    let failed = host.ctl(&["create", "other", "--flake", &format!("{FLAKE}#web")]);
    assert_eq!(failed.code(), 11, "{failed}");
    assert!(failed.stderr.contains(ours), "the generator that failed is not named: {failed}");
    assert_eq!(host.state("other"), "inactive");
    assert_eq!(host.state("web"), "active");

    host.sh(&format!("mv /usr/local/libexec/generator {ours}"));
    host.ok(&["systemctl", "daemon-reload"]);
    host.assert_no_traces_since(&before);
    host.create("stopped");
    assert_eq!(host.state("stopped"), "active");
}

fn twenty_at_boot(host: &Host) {
    host.install(bins());
    let built =
        host.ok(&["nix", "build", "--no-link", "--print-out-paths", &format!("{FLAKE}#nixosContainers.web")]);
    let names: Vec<_> = (1..=20).map(|number| format!("box-{number}")).collect();
    for name in &names {
        host.ctl_ok(&["create", name, "--profile", built.trim(), "--no-start"]);
    }
    let started = host.ctl_ok(&["autostart"]);
    for name in &names {
        assert_eq!(host.state(name), "active", "{name}: {started}");
    }
    assert_eq!(host.reboot(), "running", "{}", host.ok(&["systemctl", "--failed"]));
    for name in &names {
        assert_eq!(host.state(name), "active", "{name}");
        assert_eq!(host.page_of(name), "Hello from web.\n", "{name}");
    }
    let list: serde_json::Value =
        serde_json::from_str(&host.ctl_ok(&["list", "--json"]).stdout).expect("JSON");
    assert_eq!(list.as_array().expect("array").len(), 20);
    let arguments: Vec<_> = std::iter::once("remove").chain(names.iter().map(String::as_str)).collect();
    host.ctl_ok(&arguments);
    assert!(!host.ok(&["machinectl", "list", "--no-legend"]).contains("box-"));
}

fn foreign_containers_are_left_alone(host: &Host) {
    host.install(bins());
    // A foreign container whose link is in machines.target, which the administrator has disabled.
    let built =
        host.ok(&["nix", "build", "--no-link", "--print-out-paths", &format!("{FLAKE}#nixosContainers.web")]);
    let init = host.ok(&["readlink", "-f", &format!("{}/init", built.trim())]);
    let text = format!(
        "[Exec]\nBoot=no\nParameters={}\nKillSignal=SIGRTMIN+3\nNotifyReady=yes\n[Files]\nBindReadOnly=/nix/store\n",
        init.trim()
    );
    host.write("/etc/systemd/nspawn/foreign.nspawn", text, 0o644);
    host.ok(&["mkdir", "-p", "/var/lib/machines/foreign/usr"]);
    host.ok(&["systemctl", "enable", &unit("foreign")]);
    host.ok(&["systemctl", "disable", "machines.target"]);
    host.create("web");
    host.ok(&["systemctl", "stop", &unit("foreign")]);

    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "active", "ours does not depend on machines.target being on");
    assert_eq!(host.state("foreign"), "inactive", "ours does not pull in others");
    host.ctl_ok(&["autostart"]);
    assert_eq!(host.state("foreign"), "inactive");

    // It must not be touched.
    for arguments in [&["remove", "foreign"][..], &["disable", "foreign"], &["enable", "foreign"]] {
        let refused = host.ctl(arguments);
        assert!(refused.text().contains("foreign"), "{refused}");
        assert!(host.exists("/etc/systemd/nspawn/foreign.nspawn"));
    }
    host.ok(&["systemctl", "start", &unit("foreign")]);
    host.ctl_ok(&["remove", "web"]);
    assert_eq!(host.state("foreign"), "active");

    // An administrator's settings file that shadows ours is reported.
    host.create("stopped");
    host.write("/etc/systemd/nspawn/stopped.nspawn", "[Exec]\nBoot=yes\n", 0o644);
    host.run(&["systemctl", "restart", &unit("stopped")]);
    let journal = host.unit_journal("stopped");
    assert!(journal.contains("/etc/systemd/nspawn/stopped.nspawn"), "{journal}");
}

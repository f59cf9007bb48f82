//! Commands that are killed between two of their steps: each row of docs/decisions/interrupted.md.
//!
//! The program is built with the feature `stop-points`, kills itself where NIXOS_NSPAWN_STOP_AT says, and the next
//! command, with or without a power cut in between, has to find what the table promises: all of the old or all of the
//! new. A power cut is made once for all containers of a test.

use nixos_nspawn_tests::host::{Bins, FLAKE, Host, Output, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

on_both_hosts!(
    killed_updates,
    killed_updates_and_a_power_cut,
    killed_rollbacks,
    killed_on_the_way_back,
    killed_creates_and_removes,
    signals,
);

/// Where an update or a rollback can be stopped behind its build.
const PLACES: [&str; 7] = ["recording", "profile", "intent", "reload", "activating", "activated", "passed"];

/// The programs, ctl with its stop points.
fn stoppable() -> &'static Bins {
    static BINS: OnceLock<Bins> = OnceLock::new();
    BINS.get_or_init(|| {
        let plain = bins();
        // RELEASE/../../.. is the target directory.
        let release = plain.ctl.parent().expect("a folder");
        let triple =
            release.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a target");
        let target = release.ancestors().nth(2).expect("a target directory").join("stop-points");
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
        let cargo = Command::new(env!("CARGO"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .args(["build", "--quiet", "--release", "--locked", "--target", triple])
            .args(["-p", "nixos-nspawn-ctl", "--features", "nixos-nspawn-ctl/stop-points"])
            // As `make build` does, but for what takes the linker minutes.
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env(flags, "-C target-feature=+crt-static")
            .env("NIXOS_NSPAWN_HELPER", "/usr/local/libexec/nixos-nspawn/unit-helper")
            .output()
            .expect("cargo");
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        let ctl = target.join(triple).join("release/nixos-nspawn-ctl");
        Bins { generator: plain.generator.clone(), ctl }
    })
}

/// Runs a command that is to be killed at `place`.
fn killed(host: &Host, place: &str, arguments: &[&str]) {
    let variable = format!("NIXOS_NSPAWN_STOP_AT={place}");
    let output = host.run(&[&["env", &variable, "nixos-nspawn"], arguments].concat());
    assert_eq!(output.code(), 128 + 9, "was to be killed at {place}: {output}");
}

/// Containers of the test flake under these names, all of them with this page and strategy.
fn flake<'a>(names: impl IntoIterator<Item = &'a str>, page: &str, strategy: &str) -> Value {
    let own = names.into_iter().map(|name| {
        let mut settings = dynamic(page);
        settings["container"]["activation"]["strategy"] = json!(strategy);
        (name.to_owned(), settings)
    });
    Value::Object(own.collect::<Map<_, _>>())
}

/// A change in one container makes every command settle what was killed in all the others.
fn settle(host: &Host) -> Output {
    host.ctl_ok(&["enable", "stopped"])
}

fn page(host: &Host, name: &str) -> String {
    host.inside(name, &["cat", "/run/current-system/etc/page"])
}

fn assert_half(host: &Host, name: &str, word: &str) {
    let listed = host.ctl_ok(&["list"]).stdout;
    let line = listed.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
    assert!(line.contains(word), "list does not say that {name} is {word}:\n{listed}");
}

fn killed_updates(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    for name in ["reload", "restart"] {
        host.own(&flake([name], "first\n", name));
        host.create(name);
        for place in ["built"].into_iter().chain(PLACES) {
            let (before, nspawn, old) = (host.recorded(name), host.nspawn(name), page(host, name));
            let new = format!("{place}\n");
            host.own(&flake([name], &new, name));
            killed(host, place, &["update", name]);
            assert_half(host, name, "half updated");

            let settled = settle(host);
            let at = format!("{name} killed at {place}: {settled}");
            host.assert_agreed(name);
            assert_eq!(host.state(name), "active", "{at}");
            // A restarted container has what it was started with, and that is known; a reload is not.
            if name == "restart" && ["activated", "passed"].contains(&place) {
                assert_eq!(page(host, name), new, "{at}");
            } else {
                assert_eq!(page(host, name), old, "{at}");
                assert_eq!(host.recorded(name), before, "{at}");
                let touched = ["activating", "activated", "passed"].contains(&place);
                assert_eq!(host.nspawn(name) != nspawn, touched, "restarted, or not: {at}");
            }
        }
        // What was killed is not in the way of the same command again.
        host.own(&flake([name], "last\n", name));
        killed(host, "profile", &["update", name]);
        host.ctl_ok(&["update", name]);
        host.assert_agreed(name);
        assert_eq!(page(host, name), "last\n", "{name}");

        // One that does not run is not started.
        host.ok(&["systemctl", "stop", &unit(name)]);
        let before = host.recorded(name);
        host.own(&flake([name], "stopped\n", name));
        killed(host, "intent", &["update", name]);
        settle(host);
        host.assert_agreed(name);
        assert_eq!((host.recorded(name), host.state(name)), (before, "inactive".to_owned()), "{name}");
    }
}

fn killed_updates_and_a_power_cut(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let names: Vec<_> =
        ["built"].into_iter().chain(PLACES).map(|place| (place, format!("at-{place}"))).collect();
    let all = || names.iter().map(|(_, name)| name.as_str()).chain(["off-intent"]);
    host.own(&flake(all(), "old\n", "reload"));
    for name in all() {
        host.create(name);
    }
    host.ctl_ok(&["disable", "off-intent"]);
    host.ok(&["systemctl", "stop", &unit("off-intent")]);
    host.own(&flake(all(), "new\n", "reload"));
    for (place, name) in &names {
        killed(host, place, &["update", name]);
    }
    killed(host, "intent", &["update", "off-intent"]);

    assert_eq!(host.power_cut(), "running");
    for (place, name) in &names {
        assert_eq!(host.state(name), "active", "{name}");
        assert_half(host, name, "half updated");
        // What is recorded is what the boot started.
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(page(host, name) == "new\n", new, "{name}");
    }
    let before: Vec<_> = names.iter().map(|(_, name)| host.nspawn(name)).collect();
    let settled = settle(host);
    for ((place, name), nspawn) in names.iter().zip(before) {
        host.assert_agreed(name);
        assert_eq!(host.nspawn(name), nspawn, "{name}: nothing is to be restarted: {settled}");
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(page(host, name) == "new\n", new, "{name}: {settled}");
        assert_eq!(host.generation(name), if new { 2 } else { 1 }, "{name}: {settled}");
    }
    // One that does not run goes back, and still does not run.
    host.assert_agreed("off-intent");
    assert_eq!(host.generation("off-intent"), 1, "{settled}");
    assert_eq!(host.state("off-intent"), "inactive", "{settled}");

    // Killed once more, and the host rebooted in order.
    for (place, name) in &names {
        host.own(&flake(all(), &format!("newer at {place}\n"), "restart"));
        killed(host, place, &["update", name]);
    }
    assert_eq!(host.reboot(), "running");
    settle(host);
    for (place, name) in &names {
        host.assert_agreed(name);
        assert_eq!(host.state(name), "active", "{name}");
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(page(host, name) == format!("newer at {place}\n"), new, "{name}");
    }
}

fn killed_rollbacks(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    host.own(&flake(["web"], "one\n", "restart"));
    host.create("web");
    host.own(&flake(["web"], "two\n", "restart"));
    host.ctl_ok(&["update", "web"]);
    let before = host.recorded("web");
    for place in PLACES {
        killed(host, place, &["rollback", "web"]);
        assert_half(host, "web", "half updated");
        let settled = settle(host);
        host.assert_agreed("web");
        assert_eq!(host.state("web"), "active", "{place}: {settled}");
        if ["activated", "passed"].contains(&place) {
            assert_eq!(
                (page(host, "web").as_str(), host.generation("web")),
                ("one\n", 1),
                "{place}: {settled}"
            );
            host.ctl_ok(&["rollback", "web", "--to", "2"]);
        }
        assert_eq!(host.recorded("web"), before, "{place}: {settled}");
    }

    // The next command may be the same one, and it goes through.
    killed(host, "intent", &["rollback", "web"]);
    host.ctl_ok(&["rollback", "web"]);
    host.assert_agreed("web");
    assert_eq!((page(host, "web").as_str(), host.generation("web")), ("one\n", 1));

    // Killed while systemd stops the container for a restart: no step of ours, but the longest time.
    host.sh("mkdir -p /run/systemd/system/systemd-nspawn@web.service.d && printf '[Service]\\nExecStop=/bin/sleep 3\\n' > /run/systemd/system/systemd-nspawn@web.service.d/slow.conf");
    host.ok(&["systemctl", "daemon-reload"]);
    let before = host.recorded("web");
    host.ok(&["sh", "-euc", "nixos-nspawn update web > /dev/null 2>&1 & echo $! > /run/pid"]);
    host.wait_state("web", "deactivating");
    host.sh("kill -KILL $(cat /run/pid)");
    host.wait_until("web is down", || host.state("web") != "deactivating");
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!(host.recorded("web"), before, "{settled}");
    assert_eq!(host.state("web"), "active", "the old one is started: {settled}");
}

/// An update that fails and is killed while it is taken back: ports, the host's network and what requires the container come
/// back with the rest.
fn killed_on_the_way_back(host: &Host) {
    const NETWORK: &str = "/run/systemd/network/50-nixos-nspawn-web.network";
    host.install(stoppable());
    host.create("stopped");
    let web = |page: &str, ports: &[&str], mtu: u16| {
        let mut settings = dynamic(page);
        settings["container"]["activation"]["strategy"] = json!("restart");
        settings["container"]["forwardPorts"] = json!(ports);
        settings["container"]["hostNetworkConfig"] = json!({"linkConfig": {"MTUBytes": mtu}});
        host.own(&json!({ "web": settings }));
    };
    web("old\n", &["127.0.0.1:8080:80"], 1400);
    host.create("web");
    host.write(
        "/run/systemd/system/needs-web.service",
        "[Unit]\nRequires=systemd-nspawn@web.service\nAfter=systemd-nspawn@web.service\n\
         [Service]\nExecStart=/bin/sleep infinity\n",
        0o644,
    );
    host.sh("systemctl daemon-reload; systemctl start needs-web");
    let (recorded, network) = (host.recorded("web"), host.file(NETWORK));
    let fails = ["update", "web", "--allow-host-changes", "--check", "false", "--timeout", "6s"];
    for place in ["back-intent", "back-reload", "back-stopped"] {
        web("new\n", &["127.0.0.1:8080:81", "127.0.0.1:8081:80"], 1300);
        killed(host, place, &fails);
        assert_half(host, "web", "half updated");
        let settled = settle(host);
        let at = format!("killed at {place}: {settled}");
        host.assert_agreed("web");
        assert_eq!((host.state("web").as_str(), page(host, "web").as_str()), ("active", "old\n"), "{at}");
        assert_eq!((host.recorded("web"), host.file(NETWORK)), (recorded.clone(), network.clone()), "{at}");
        assert_eq!(host.ok(&["systemctl", "is-active", "needs-web"]), "active\n", "{at}");
        assert!(!host.sh("ss -ltn").contains(":8081 "), "{at}");
        assert!(!settled.stderr.contains("are started again"), "{at}");
        // To port 80 of the container as before, not to 81.
        let asked = host.run(&["curl", "--silent", "--max-time", "40", "http://127.0.0.1:8080/"]);
        assert_eq!(asked.stdout, "old\n", "{at}");
        assert!(!host.ctl_ok(&["list"]).stdout.contains("half updated"), "{at}");
    }

    // The old one cannot be started either: that is told once, and is not in the way of what mends it.
    killed(host, "back-stopped", &fails);
    host.write("/etc/systemd/nspawn/web.nspawn", "[Exec]\nBoot=yes\n", 0o644);
    let settled = settle(host);
    assert!(settled.stderr.contains("container 'web' did not start: it failed"), "{settled}");
    assert!(!settled.stderr.contains("needs-web"), "{settled}");
    assert_eq!((host.state("web").as_str(), host.generation("web")), ("failed", 1), "{settled}");
    host.ok(&["rm", "/etc/systemd/nspawn/web.nspawn"]);
    web("mended\n", &["127.0.0.1:8080:80"], 1400);
    let mended = host.ctl_ok(&["update", "web"]);
    assert!(!mended.stderr.contains("nixos-nspawn:"), "{mended}");
    host.assert_agreed("web");
    host.ok(&["systemctl", "start", "needs-web"]);
    assert_eq!(page(host, "web"), "mended\n", "{mended}");
}

fn killed_creates_and_removes(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let before = host.traces();
    for place in ["create-begun", "create-built", "create-intent", "create-started"] {
        let create = ["create", "web", "--flake", FLAKE];
        killed(host, place, &create);
        assert_half(host, "web", "half created");
        settle(host);
        assert_eq!(host.state("web"), "inactive", "{place}");
        // What a started container has written may be data: it is not deleted behind anybody's back.
        assert_eq!(host.exists("/var/lib/machines/web"), place == "create-started", "{place}");
        host.sh("cd /var/lib/machines; for id in web/var/log/journal/*; do rm -f \"/var/log/journal/${id##*/}\"; done; rm -rf web .#web.lck");
        host.assert_no_traces_since(&before);

        killed(host, place, &create);
        assert_eq!(host.power_cut(), "running", "{place}");
        // The next command is the same one.
        host.ctl_ok(&create);
        host.assert_agreed("web");
        assert_eq!(host.state("web"), "active", "{place}");
        host.ctl_ok(&["remove", "web", "--delete-state"]);
        host.assert_no_traces_since(&before);
    }
    // Killed when all was done but the record: it stays.
    killed(host, "create-done", &["create", "web", "--flake", FLAKE]);
    let nspawn = host.nspawn("web");
    settle(host);
    host.assert_agreed("web");
    assert_eq!((host.state("web"), host.nspawn("web")), ("active".to_owned(), nspawn));
    host.ctl_ok(&["remove", "web", "--delete-state"]);

    for place in ["remove-stopped", "remove-forgotten"] {
        for cut in [false, true] {
            host.create("web");
            killed(host, place, &["remove", "web", "--delete-state"]);
            if cut {
                host.power_cut();
            }
            assert_half(host, "web", "half removed");
            settle(host);
            host.assert_no_traces_since(&before);
            assert_eq!(host.state("web"), "inactive", "{place}");
        }
    }
}

/// Signals that a command can answer: it cleans up itself.
fn signals(host: &Host) {
    host.install(stoppable());
    host.own(&json!({"web": dynamic("old\n")}));
    host.create("web");
    // Sends a signal once `moment` has come, and gives the command's exit status and output.
    let interrupted = |signal: &str, moment: &str, arguments: &str| {
        let script = format!(
            r#"rm -f /run/moment
            nixos-nspawn {arguments} > /run/output 2>&1 & command=$!
            for _ in $(seq 300); do if {moment}; then break; fi; sleep 0.1; done
            {moment} || {{ cat /run/output; echo "the moment does not come"; exit 99; }}
            kill -{signal} $command
            status=0; wait $command || status=$?
            cat /run/output; exit $status"#
        );
        let output = host.run(&["sh", "-uc", &script]);
        assert!(![0, 99, 128 + 9].contains(&output.code()), "{signal}: {output}");
        output
    };
    for signal in ["INT", "TERM"] {
        let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
        // While Nix builds: the builder says so and waits for ever.
        let mut slow = dynamic("new\n");
        slow["switch"] = json!("$(touch /run/moment; sleep 600)");
        host.own(&json!({"web": slow, "fresh": slow}));
        let traces = host.traces();
        let output = interrupted(signal, "[ -e /run/moment ]", "update web");
        assert_eq!((host.recorded("web"), host.nspawn("web")), (before.clone(), nspawn), "{output}");
        host.assert_agreed("web");
        interrupted(signal, "[ -e /run/moment ]", &format!("create fresh --flake {FLAKE}"));
        host.assert_no_traces_since(&traces);

        // While the container starts and does not get ready.
        let mut never = dynamic("new\n");
        never["boot"] = json!("trap 'exit 0' 37; touch /var/waits; while :; do sleep 1; done");
        host.own(&json!({"web": never, "fresh": never}));
        // Only then it can be stopped: a first process without a handler does not hear the signal.
        let waits = |name: &str| format!("[ -e /var/lib/machines/{name}/var/waits ]");
        host.sh("rm -f /var/lib/machines/web/var/waits");
        let output = interrupted(signal, &waits("web"), "update web --strategy restart");
        assert_eq!(host.recorded("web"), before, "{output}");
        assert_eq!((host.state("web").as_str(), page(host, "web").as_str()), ("active", "old\n"), "{output}");
        host.assert_agreed("web");
        let traces = host.traces();
        interrupted(signal, &waits("fresh"), &format!("create fresh --flake {FLAKE}"));
        host.assert_no_traces_since(&traces);

        // While it reloads.
        let mut slow = dynamic("new\n");
        slow["switch"] = json!("touch /run/slow; sleep 600");
        host.own(&json!({"web": slow}));
        let reloading = "systemd-run -q -M web --wait /bin/test -e /run/slow 2> /dev/null";
        let output = interrupted(signal, reloading, "update web");
        assert_eq!(host.recorded("web"), before, "{output}");
        assert_eq!(page(host, "web"), "old\n", "{output}");
        host.assert_agreed("web");
    }
}

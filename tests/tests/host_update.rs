//! Updates and rollbacks on a real systemd: what they change, what they leave alone, and how they go back when the new
//! generation is no good.

use nixos_nspawn_tests::host::{FLAKE, Host, Output, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

on_both_hosts!(
    reload_restart_or_neither,
    plans_and_sources,
    bad_systems,
    bad_reloads,
    containers_that_listen_to_nobody,
    rollbacks_pins_and_the_collector,
    several_at_once,
    failing_generators_of_others,
);

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";

/// Makes the test flake's container `web` this one.
fn web(host: &Host, settings: &Value) {
    host.own(&json!({ "web": settings }));
}

/// The test flake's container with one more setting of its own.
fn with(page: &str, key: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings[key] = value;
    settings
}

/// The test flake's container with one more option.
fn with_option(page: &str, option: &str, value: Value) -> Value {
    let mut settings = dynamic(page);
    settings["container"][option] = value;
    settings
}

/// The page of the system inside.
fn page(host: &Host, name: &str) -> String {
    host.inside(name, &["cat", "/run/current-system/etc/page"])
}

/// Runs a command that must end with `code` and change nothing: neither what is recorded nor the process.
fn unchanged(host: &Host, code: i32, arguments: &[&str]) -> Output {
    let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
    let output = host.ctl(arguments);
    assert_eq!(output.code(), code, "{output}");
    assert_eq!(host.recorded("web"), before, "{output}");
    assert_eq!(host.nspawn("web"), nspawn, "restarted: {output}");
    output
}

/// Runs an update that must fail, in time, and take everything back.
fn rolled_back(host: &Host, options: &[&str]) -> Output {
    let before = host.recorded("web");
    let output = host.ctl(&[&["update", "web"], options].concat());
    assert_eq!(output.code(), 1, "{output}");
    assert!(output.stderr.contains("rolled back"), "{output}");
    assert_eq!(host.recorded("web"), before, "{output}");
    assert_eq!(host.state("web"), "active", "{output}");
    host.assert_agreed("web");
    output
}

fn reload_restart_or_neither(host: &Host) {
    host.install(bins());
    web(host, &dynamic("one\n"));
    host.create("web");
    let served = |expected: &str| {
        host.assert_agreed("web");
        assert_eq!(host.page(&format!("http://{}/", host.address("web"))), expected);
    };
    let updated = |settings: Value, options: &[&str]| {
        web(host, &settings);
        host.ctl_ok(&[&["update", "web"], options].concat())
    };
    let nspawn = host.nspawn("web");
    served("one\n");

    let output = updated(dynamic("two\n"), &[]);
    served("two\n");
    assert_eq!(host.nspawn("web"), nspawn, "a reload keeps the uptime: {output}");
    assert_eq!(host.generation("web"), 2);
    assert!(output.stdout.contains("1 -> 2, reloaded: only the system differs"), "{output}");

    let same = unchanged(host, 0, &["update", "web"]);
    assert!(same.stdout.contains("up to date"), "{same}");

    // What reaches further into the host wants to be allowed.
    web(host, &with_option("three\n", "bindMounts", json!(["/srv/more:/srv/seen"])));
    let output = unchanged(host, 10, &["update", "web"]);
    assert!(
        output.stderr.contains("/srv/more") && output.stderr.contains("--allow-host-changes"),
        "{output}"
    );
    let output = host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    served("three\n");
    host.inside("web", &["touch", "/srv/seen/mine"]);
    assert!(host.exists("/srv/more/mine"));
    assert!(output.stdout.contains("restarted: [Files] Bind= is added"), "{output}");
    assert_ne!(host.nspawn("web"), nspawn);

    let nspawn = host.nspawn("web");
    let port = json!([{"protocol": "tcp", "hostPort": 8080, "containerPort": 80}]);
    let output = updated(with_option("three\n", "forwardPorts", port), &["--allow-host-changes"]);
    served("three\n");
    assert!(output.stdout.contains("restarted: [") && output.stdout.contains("Port="), "{output}");
    assert_ne!(host.nspawn("web"), nspawn);

    // Autostart is the host's affair.
    updated(dynamic("four\n"), &[]);
    let nspawn = host.nspawn("web");
    let off = json!({"strategy": "dynamic", "autoStart": false, "reloadScript": null});
    let output = updated(with_option("four\n", "activation", off), &[]);
    served("four\n");
    assert!(output.stdout.contains("not touched: only autostart differs"), "{output}");
    assert_eq!(host.nspawn("web"), nspawn);
    let link = format!("/run/systemd/generator/machines.target.wants/{}", unit("web"));
    assert!(!host.exists(&link));
    let output = updated(dynamic("four\n"), &[]);
    assert!(output.stdout.contains("not touched") && host.exists(&link), "{output}");
    assert_eq!(host.nspawn("web"), nspawn);

    // Systems that cannot be switched to in place.
    for (page, key, value, why) in [
        ("five\n", "switch", json!("exit 100"), "the new system asks for a restart"),
        ("six\n", "switchable", json!(false), "no bin/switch-to-configuration"),
    ] {
        let nspawn = host.nspawn("web");
        let output = updated(with(page, key, value), &[]);
        served(page);
        assert_ne!(host.nspawn("web"), nspawn, "{output}");
        assert!(output.stdout.contains("restarted: ") && output.stdout.contains(why), "{output}");
    }

    // As the command line wants it.
    let nspawn = host.nspawn("web");
    let output = updated(dynamic("seven\n"), &["--strategy", "none"]);
    assert!(output.stdout.contains("not touched: strategy 'none'"), "{output}");
    assert_eq!((host.nspawn("web"), page(host, "web").as_str()), (nspawn, "six\n"));
    host.ok(&["systemctl", "restart", &unit("web")]);
    served("seven\n");
    let nspawn = host.nspawn("web");
    updated(dynamic("eight\n"), &["--strategy", "restart"]);
    served("eight\n");
    assert_ne!(host.nspawn("web"), nspawn);

    // One that does not run takes it on when it starts.
    host.ok(&["systemctl", "stop", &unit("web")]);
    let output = updated(dynamic("nine\n"), &[]);
    assert!(output.stdout.contains("not touched: the container does not run"), "{output}");
    host.assert_agreed("web");
    assert_eq!(host.state("web"), "inactive");
    host.ok(&["systemctl", "start", &unit("web")]);
    served("nine\n");

    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert!(!host.exists(&format!("{PROFILES}/web")));
}

fn plans_and_sources(host: &Host) {
    host.install(bins());
    // A relative path is recorded so that it means the same elsewhere, with the revision that was built.
    web(host, &dynamic("one\n"));
    host.sh("cd /root && nixos-nspawn create web --flake ./flake 2> /dev/null");
    let source = host.intent("web")["source"].clone();
    assert_eq!(source["flake"], FLAKE, "{source}");
    let locked = source["locked"].as_str().unwrap_or_default().to_owned();
    assert!(locked.contains("narHash"), "{source}");
    unchanged(host, 0, &["plan", "web", "--exit-code"]);
    unchanged(host, 0, &["update", "web", "--dry-run", "--exit-code"]);

    web(host, &with_option("two\n", "bindMounts", json!(["/srv/more:/srv/seen"])));
    for command in [&["plan", "web"][..], &["update", "web", "--dry-run"]] {
        let plan = unchanged(host, 4, &[command, &["--exit-code"]].concat());
        for word in ["+Bind=/srv/more:/srv/seen", "would restart it", "--allow-host-changes"] {
            assert!(plan.stdout.contains(word), "{word} is not in {plan}");
        }
        unchanged(host, 0, command);
    }
    host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    unchanged(host, 0, &["plan", "web", "--exit-code"]);
    assert_ne!(host.intent("web")["source"]["locked"], locked.as_str());

    // A commit that builds the same is no change, not even of the record's revision.
    host.write(&format!("{FLAKE}/unrelated"), "", 0o644);
    unchanged(host, 0, &["update", "web"]);

    // Another source is recorded from then on, also a built one.
    let nspawn = host.nspawn("web");
    host.sh("cp -r /root/flake /root/moved");
    host.own(&json!({"other": dynamic("three\n")}));
    host.sh("cp /root/flake/own.json /root/moved/own.json && cd /root/moved && nixos-nspawn update web --flake .#other --allow-host-changes 2> /dev/null");
    host.assert_agreed("web");
    assert_eq!(host.intent("web")["source"]["flake"], "/root/moved#other");
    assert_eq!(page(host, "web"), "three\n");
    assert_ne!(host.nspawn("web"), nspawn, "a bind mount was dropped");
    host.own(&json!({"web": dynamic("four\n")}));
    let installable = format!("{FLAKE}#nixosContainers.web");
    let built = host.ok(&["nix", "build", "--no-link", "--print-out-paths", &installable]);
    host.ctl_ok(&["update", "web", "--profile", built.trim()]);
    assert_eq!(page(host, "web"), "four\n");
    unchanged(host, 0, &["update", "web"]);
    unchanged(host, 2, &["update", "nobody"]);
    unchanged(host, 10, &["update", "web", "--profile", "/nix/store/nothing-here"]);

    // Builds that fail, in the evaluation and in the builder.
    for (key, value) in [("page", json!(1)), ("switch", json!("$(kill -KILL $$)"))] {
        web(host, &with("five\n", key, value));
        let output = unchanged(host, 11, &["update", "web", "--flake", FLAKE]);
        assert!(
            output.stderr.contains("error:") && output.stderr.contains("nothing was changed"),
            "{output}"
        );
        host.assert_agreed("web");
    }
}

/// New generations that do not come up as they should.
fn bad_systems(host: &Host) {
    host.install(bins());
    web(host, &dynamic("good\n"));
    host.create("web");
    let restart = ["--strategy", "restart", "--timeout", "4s"];

    web(host, &with("bad\n", "boot", json!("echo this one gives up; exit 1")));
    let output = rolled_back(host, &restart);
    assert!(output.stderr.contains("this one gives up"), "{output}");
    let status: Value =
        serde_json::from_str(&host.ctl_ok(&["status", "web", "--json"]).stdout).expect("JSON");
    assert_eq!(status["last_activation"]["result"], "failed", "{status}");

    let dawdles = "echo this one dawdles; trap 'exit 0' 37; while :; do sleep 1; done";
    web(host, &with("bad\n", "boot", json!(dawdles)));
    let output = rolled_back(host, &restart);
    assert!(output.stderr.contains("this one dawdles"), "{output}");

    // It boots, but a unit inside fails.
    let fails = r#"cd /run; mkdir -p systemd/system/multi-user.target.wants
        printf '%s\n' '[Service]' 'Type=oneshot' 'ExecStart=/bin/sh -c "echo this one fails; exit 1"' > systemd/system/fails.service
        ln -s ../fails.service systemd/system/multi-user.target.wants/
        exec /usr/lib/systemd/systemd"#;
    web(host, &with("degraded\n", "boot", json!(fails)));
    let output = rolled_back(host, &restart[..2]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    // A failed one can be kept for study, and one may ask for less.
    let kept = host.ctl(&[&["update", "web", "--keep"], &restart[..2]].concat());
    assert_eq!(kept.code(), 1, "{kept}");
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "degraded\n", "{kept}");
    host.ctl_ok(&["rollback", "web", "--strategy", "restart"]);
    assert_eq!(page(host, "web"), "good\n");
    for expect in ["active", "none"] {
        host.ctl_ok(&[&["update", "web", "--expect", expect], &restart[..2]].concat());
        host.assert_agreed("web");
        assert_eq!(page(host, "web"), "degraded\n");
        host.ctl_ok(&["rollback", "web", "--strategy", "restart"]);
    }
    host.ctl_ok(&[&["update", "web", "--expect", "active"], &restart[..2]].concat());
    // What failed before is not held against a new generation, unless it is asked for more.
    web(host, &dynamic("better\n"));
    let output = rolled_back(host, &["--expect", "running"]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    host.ctl_ok(&["update", "web"]);
    assert_eq!(page(host, "web"), "better\n");
    host.ok(&["systemctl", "restart", &unit("web")]);
    web(host, &dynamic("best\n"));
    host.ctl_ok(&["update", "web", "--expect", "running"]);
    assert_eq!(page(host, "web"), "best\n");

    // A check of the administrator's.
    web(host, &dynamic("checked\n"));
    let check = |word: &str| format!("grep -q {word} /run/current-system/etc/page");
    let output = rolled_back(host, &["--check", &check("else"), "--timeout", "3s"]);
    assert!(output.stderr.contains("grep -q else"), "{output}");
    assert_eq!(page(host, "web"), "best\n");
    host.ctl_ok(&["update", "web", "--check", &check("checked")]);
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "checked\n");
}

/// What switch-to-configuration can say.
fn bad_reloads(host: &Host) {
    host.install(bins());
    web(host, &dynamic("good\n"));
    host.create("web");

    web(host, &with("bad\n", "switch", json!("echo this one cannot; exit 1")));
    let output = rolled_back(host, &[]);
    assert!(output.stderr.contains("this one cannot"), "{output}");
    assert_eq!(page(host, "web"), "good\n");

    // Exit status 4: some units failed. Whether that matters is for the gate to say.
    let fails = "systemd-run --quiet --service-type=oneshot --unit=fails /bin/false || :; exit 4";
    web(host, &with("degraded\n", "switch", json!(fails)));
    let output = rolled_back(host, &[]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    let nspawn = host.nspawn("web");
    web(host, &with("four\n", "switch", json!("exit 4")));
    host.ctl_ok(&["update", "web"]);
    host.assert_agreed("web");
    assert_eq!((host.nspawn("web"), page(host, "web").as_str()), (nspawn, "four\n"));

    // One that takes too long is ended inside too.
    web(host, &with("slow\n", "switch", json!("touch /run/slow; sleep 6543")));
    let output = rolled_back(host, &["--timeout", "3s"]);
    assert!(output.stderr.contains("3 s"), "{output}");
    let nspawn = host.nspawn("web");
    let kept = host.ctl(&["update", "web", "--timeout", "3s", "--keep"]);
    assert_eq!((kept.code(), host.nspawn("web")), (1, nspawn), "{kept}");
    host.inside("web", &["test", "-e", "/run/slow"]);
    let left = host.run_inside("web", &["pgrep", "-f", "sleep 6543"]);
    assert!(!left.success(), "it goes on inside: {left}");
    host.ctl_ok(&["rollback", "web"]);
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "four\n");
}

/// nspawn must be killed, and leaves a mount behind that the next start would stumble over (systemd#34776).
fn containers_that_listen_to_nobody(host: &Host) {
    host.install(bins());
    let deaf = |page: &str| {
        let boot = "exec /usr/bin/systemd-notify --ready --no-block --exec \\; /bin/sleep 2147483647";
        let mut settings = with(page, "boot", json!(boot));
        settings["container"]["serviceConfig"] = json!({"TimeoutStopSec": "3s"});
        host.own(&json!({ "deaf": settings }));
    };
    deaf("one\n");
    host.create("deaf");
    deaf("two\n");
    let restart = ["--strategy", "restart", "--expect", "active"];
    host.ctl_ok(&[&["update", "deaf"], &restart[..]].concat());
    host.assert_agreed("deaf");
    assert_eq!((host.state("deaf").as_str(), host.generation("deaf")), ("active", 2));
    host.ctl_ok(&[&["rollback", "deaf"], &restart[..]].concat());
    host.assert_agreed("deaf");
    assert_eq!((host.state("deaf").as_str(), host.generation("deaf")), ("active", 1));

    // Also where it is the bad new generation that does not listen.
    web(host, &dynamic("good\n"));
    host.create("web");
    let mut bad = with("bad\n", "boot", json!("exec sleep 2147483647"));
    bad["container"]["serviceConfig"] = json!({"TimeoutStopSec": "3s"});
    web(host, &bad);
    rolled_back(host, &["--allow-host-changes", "--strategy", "restart", "--timeout", "3s"]);
}

fn rollbacks_pins_and_the_collector(host: &Host) {
    host.install(bins());
    let generations = || -> Vec<Value> {
        let output = host.ctl_ok(&["list-generations", "web", "--json"]).stdout;
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("{e}: {output}"))
    };
    let status = || -> Value {
        serde_json::from_str(&host.ctl_ok(&["status", "web", "--json"]).stdout).expect("JSON")
    };
    web(host, &dynamic("page 1\n"));
    host.create("web");
    unchanged(host, 3, &["rollback", "web"]);
    for number in 2..=4 {
        web(host, &dynamic(&format!("page {number}\n")));
        host.ctl_ok(&["update", "web"]);
    }
    let nspawn = host.nspawn("web");
    let plan = unchanged(host, 0, &["rollback", "web", "--dry-run"]);
    assert!(plan.stdout.contains("would go back to generation 3, would reload it"), "{plan}");
    for (arguments, number) in [(&["--to", "2"][..], 2), (&["--to", "4"], 4), (&[], 3)] {
        let output = host.ctl_ok(&[&["rollback", "web"], arguments].concat());
        host.assert_agreed("web");
        assert_eq!(host.generation("web"), number, "{output}");
        assert_eq!(page(host, "web"), format!("page {number}\n"), "{output}");
    }
    assert_eq!(host.nspawn("web"), nspawn);
    unchanged(host, 3, &["rollback", "web", "--to", "9"]);
    unchanged(host, 0, &["rollback", "web", "--to", "3"]);
    let diff = unchanged(host, 0, &["diff", "web", "2", "4"]);
    assert!(diff.stdout.contains("generation 2 -> 4") && diff.stdout.contains("+toplevel"), "{diff}");

    // Recorded is another than runs, and neither goes.
    host.ctl_ok(&["rollback", "web", "--to", "4", "--strategy", "none"]);
    let said = status();
    assert_eq!((&said["generation"], &said["running_generation"]), (&json!(4), &json!(3)), "{said}");
    assert_eq!(said["restart_due"], true, "{said}");
    let flags: Vec<_> =
        generations().iter().map(|one| (one["current"] == true, one["running"] == true)).collect();
    assert_eq!(flags, [(false, false), (false, false), (false, true), (true, false)]);
    host.ctl_ok(&["pin", "web", "1"]);
    for number in ["1", "3", "4"] {
        unchanged(host, 10, &["delete-generations", "web", number]);
    }
    let [second, running] =
        [2, 3].map(|number| host.ok(&["readlink", &format!("{PROFILES}/web/system-{number}-link")]));
    let running = format!("{}/init", running.trim());

    // The host's own collector, under the live container.
    host.ok(&["nix-collect-garbage", "-d"]);
    assert!(!host.exists(second.trim()), "generation 2 is garbage");
    assert!(
        host.run(&["test", "-e", &running]).success()
            || host.exists("/nix/var/nix/gcroots/nixos-nspawn/web-running")
    );
    assert_eq!(page(host, "web"), "page 3\n");
    host.inside("web", &["systemctl", "restart", "web.service"]);
    assert_eq!(host.nspawn("web"), nspawn);
    let numbers: Vec<_> = generations().iter().filter_map(|one| one["generation"].as_u64()).collect();
    assert_eq!(numbers, [1, 4]);
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "page 4\n");

    // A link to what is gone is refused before anything changes.
    host.ok(&["ln", "-s", second.trim(), &format!("{PROFILES}/web/system-2-link")]);
    let output = unchanged(host, 10, &["rollback", "web", "--to", "2"]);
    assert!(output.stderr.contains("gone from the store"), "{output}");
    host.ok(&["rm", &format!("{PROFILES}/web/system-2-link")]);

    // What only its pin has kept is a new generation again.
    host.ctl_ok(&["rollback", "web", "--to", "1"]);
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "page 1\n");
    assert_eq!(host.generation("web"), 5);
    host.ctl_ok(&["unpin", "web", "1"]);
    host.ctl_ok(&["delete-generations", "web", "old"]);
    host.assert_agreed("web");
    unchanged(host, 3, &["rollback", "web"]);
    host.ctl_ok(&["pin", "web", "5"]);
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert_eq!(host.sh("ls -A /nix/var/nix/gcroots/nixos-nspawn"), "", "a pin outlives its container");
}

fn several_at_once(host: &Host) {
    host.install(bins());
    let names = ["other", "slow", "third", "fourth", "fifth"];
    host.own(&names.iter().map(|name| ((*name).to_owned(), dynamic("old\n"))).collect());
    for name in names {
        host.create(name);
    }

    // The builder of one waits, for two minutes at most, until it is told to go on.
    let waits = "$(touch /run/building; for i in $(seq 1200); do [ ! -e /run/go ] || break; sleep 0.1; done)";
    host.own(&json!({"slow": with("new\n", "switch", json!(waits)), "other": dynamic("new\n")}));
    let script = r#"
        soon() { for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done; echo "not so: $*"; exit 1; }
        nixos-nspawn update slow > /run/first 2>&1 & first=$!
        soon test -e /run/building
        nixos-nspawn update slow > /run/second 2>&1 & second=$!
        soon grep -q "'slow' is being changed by process $first, waiting" /run/second
        nixos-nspawn update other
        kill -0 $first; kill -0 $second
        touch /run/go
        wait $first; wait $second
        cat /run/first /run/second"#;
    let output = host.run_with(&["sh", "-euc", script], None, std::time::Duration::from_secs(150));
    assert!(output.success(), "{output}");
    assert!(output.stdout.contains("container 'slow': generation 1 -> 2"), "{output}");
    assert!(output.stdout.contains("container 'slow': is up to date"), "{output}");
    for name in ["slow", "other"] {
        host.assert_agreed(name);
        assert_eq!(page(host, name), "new\n");
    }

    // One that fails does not keep the others.
    let own = |name: &&str| {
        let settings = dynamic("newest\n");
        let bad = with("newest\n", "switch", json!("exit 1"));
        ((*name).to_owned(), if *name == "third" { bad } else { settings })
    };
    host.own(&names.iter().map(own).collect());
    let before = host.recorded("third");
    let output = host.ctl(&["update", "--all"]);
    assert_eq!(output.code(), 1, "{output}");
    for name in names {
        host.assert_agreed(name);
        let line = output.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no line for {name}: {output}"));
        assert_eq!(line.contains("failed"), name == "third", "{output}");
        assert_eq!(page(host, name), if name == "third" { "old\n" } else { "newest\n" });
    }
    assert_eq!(host.recorded("third"), before, "{output}");
    let again = host.ctl(&["plan", "--all", "--exit-code"]);
    assert_eq!(again.code(), 4, "{again}");
}

/// A generator that dies from a signal takes the output of all others with it, and systemctl says nothing.
fn failing_generators_of_others(host: &Host) {
    host.install(bins());
    host.create("stopped");
    web(host, &dynamic("old\n"));
    host.create("web");
    let nspawn = host.nspawn("web");
    let culprit = "/etc/systemd/system-generators/00-dies";
    host.write(culprit, "#!/bin/sh\nsleep 0.2\nkill -KILL $$\n", 0o755);
    // Ours is fast enough to be done before it; let it lose.
    let ours = "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!("mv {ours} /usr/local/libexec/generator"));
    let slow =
        "#!/bin/sh\ncase $1 in --version) ;; *) sleep 1;; esac\nexec /usr/local/libexec/generator \"$@\"\n";
    host.write(ours, slow, 0o755);

    // PID 1 waits for generators in no order: where it waits for ours first, all is well.
    web(host, &dynamic("new\n"));
    let mut failures = 0;
    for round in 0..30 {
        let (intent, before) = (host.intent("web"), page(host, "web"));
        let arguments = if intent["generation"] == 1 { ["update", "web"] } else { ["rollback", "web"] };
        let output = host.ctl(&arguments);
        assert_eq!(
            (host.state("web"), host.nspawn("web")),
            ("active".to_owned(), nspawn.clone()),
            "{output}"
        );
        if output.success() {
            continue;
        }
        failures += 1;
        assert_eq!(output.code(), 11, "round {round}: {output}");
        assert!(output.stderr.contains("00-dies"), "the generator that failed is not named: {output}");
        assert_eq!(host.intent("web"), intent, "{output}");
        assert_eq!(page(host, "web"), before, "{output}");
        let link = host.ok(&["readlink", &format!("{PROFILES}/web/system")]);
        assert_eq!(link.trim(), format!("system-{}-link", intent["generation"]), "{output}");
        if failures == 2 {
            break;
        }
    }
    assert_eq!(failures, 2, "the other generator never got in the way");
    host.ok(&["rm", culprit]);
    host.sh(&format!("mv /usr/local/libexec/generator {ours}"));
    host.ctl_ok(&["enable", "stopped"]);
    host.assert_agreed("web");
    assert_eq!(host.nspawn("web"), nspawn);
    host.ctl_ok(&["update", "web"]);
    host.assert_agreed("web");
    assert_eq!(page(host, "web"), "new\n");
}

//! Unattended updates: fresh sources, few Nix processes, checkouts of other users, and no network.

use nixos_nspawn_tests::host::{FLAKE, Host, Output, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::secrets::passwords_are_for_root;
use super::{rolled_back, unchanged, web, with, with_option};

on_both_hosts!(sources_are_resolved_once, all_containers, stored_checks, hosts_that_do_not_exist);

/// Installs a wrapper for nix that logs its calls.
fn watch_nix(host: &Host) {
    let script = "#!/bin/sh\nprintf '%s\\n' \"$*\" >> /run/nix-calls\nexec /usr/bin/nix \"$@\"\n";
    host.write("/usr/local/bin/nix", script, 0o755);
    host.sh("ln -s /usr/bin/nix-env /usr/local/bin/nix-env");
}

/// Returns the commands of the calls of Nix since the last time.
pub(crate) fn nix_calls(host: &Host) -> Vec<String> {
    let text = host.sh("cat /run/nix-calls 2> /dev/null || true; rm -f /run/nix-calls");
    let command = |line: &str| line.split(" --").next().unwrap_or_default().to_owned();
    text.lines().map(command).collect()
}

/// Serves the test flake, in its present state, as a tarball.
fn publish(host: &Host) {
    host.sh(&format!(
        "mkdir -p /srv/www && tar czf /srv/www/.new -C {FLAKE} . && mv /srv/www/.new /srv/www/flake.tar.gz"
    ));
}

fn sources_are_resolved_once(host: &Host) {
    host.install(bins());
    watch_nix(host);
    let url = "http://127.0.0.1:8099/flake.tar.gz";
    let serve = "busybox httpd -p 127.0.0.1:8099 -h /srv/www";
    web(host, &dynamic("one\n"));
    publish(host);
    host.sh(serve);
    host.ctl_ok(&["create", "web", "--flake", url]);
    assert_eq!(nix_calls(host), ["flake metadata", "eval", "build"]);

    // Right after a push, within the hour for which Nix caches a tarball.
    web(host, &dynamic("two\n"));
    publish(host);
    unchanged(host, 0, &["update", "web", "--no-refresh"]);
    nix_calls(host);
    host.ctl_ok(&["update", "web"]);
    assert_eq!(nix_calls(host), ["flake metadata", "build"]);
    assert_eq!(host.system_page("web"), "two\n");
    let two = host.intent("web")["source"]["locked"].clone();
    assert!(two.as_str().is_some_and(|locked| locked.contains("narHash")), "{two}");

    // If nothing has changed, one process runs, and nothing is written.
    let before = host
        .sh("find /etc/nixos-nspawn /nix/var/nix/profiles /nix/var/nix/gcroots -printf '%p %C@\n' | sort");
    host.ctl_ok(&["update", "web"]);
    assert_eq!(nix_calls(host), ["flake metadata"]);
    let after = host
        .sh("find /etc/nixos-nspawn /nix/var/nix/profiles /nix/var/nix/gcroots -printf '%p %C@\n' | sort");
    assert_eq!(after, before, "something was written");

    // A flake of several containers is resolved once.
    for name in ["second", "third"] {
        host.ctl_ok(&["create", name, "--flake", &format!("{url}#web"), "--no-start"]);
    }
    nix_calls(host);
    host.ctl_ok(&["update", "--all"]);
    assert_eq!(nix_calls(host), ["flake metadata"]);

    passwords_are_for_root(host, &url.replace("//", "//me:sesame@"));

    // Without the server, the recorded revision is built, with a message.
    host.sh("pkill -x busybox; rm -rf /root/.cache/nix");
    let output = host.ctl_ok(&["update", "web"]);
    assert!(
        output.stderr.contains("cannot be refreshed")
            && output.stdout.contains("is up to date with the last known revision"),
        "{output}"
    );
    let output = host.ctl_ok(&["update", "private"]);
    assert!(output.stdout.contains("is up to date with the last known revision"), "{output}");
    assert!(!output.text().contains("sesame"), "{output}");
    host.sh("nix-env --profile /nix/var/nix/profiles/per-nspawn/web/system --list-generations > /dev/null");
    let output = host.ctl(&["create", "fourth", "--flake", "http://127.0.0.1:8099/other.tar.gz"]);
    assert_eq!(output.code(), 11, "{output}");
    assert!(output.stderr.contains("a server could not be reached; check the network"), "{output}");
    assert!(!output.stderr.contains("last known revision"), "there is none: {output}");
    host.sh(serve);

    // Arguments are added to the recorded ones, for one call or for good.
    let arguments = || host.intent("web")["source"]["nixArgs"].clone();
    host.ctl_ok(&["update", "web", "--", "--option", "cores", "1"]);
    assert_eq!(arguments(), Value::Null);
    host.ctl_ok(&["update", "web", "--save-args", "--", "--access-tokens", "example.org=secret"]);
    assert_eq!(arguments(), json!(["--access-tokens", "example.org=secret"]));
    nix_calls(host);
    host.ctl_ok(&["update", "web", "--", "--refresh"]);
    assert_eq!(arguments(), json!(["--access-tokens", "example.org=secret"]));
    for command in [&["show", "web"][..], &["show", "web", "--json"]] {
        let shown = host.ctl_ok(command);
        assert!(shown.stdout.contains("example.org=***") && !shown.stdout.contains("secret"), "{shown}");
    }
    // A named source discards the recorded arguments.
    host.ctl_ok(&["update", "web", "--flake", url]);
    assert_eq!(arguments(), Value::Null);
}

/// Returns the line of a container in the table of `update --all`.
fn line(output: &Output, name: &str) -> String {
    let line = output.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no line for {name}: {output}")).to_owned()
}

fn all_containers(host: &Host) {
    host.install(bins());
    let names = ["db", "app", "held", "bad"];
    let set = |page: &str, bad: Value| {
        let mut all: Value = names.iter().map(|name| ((*name).to_owned(), dynamic(page))).collect();
        all["app"]["container"]["requires"] = json!(["db"]);
        all["bad"] = bad;
        host.own(&all);
    };
    set("one\n", dynamic("one\n"));
    for name in names {
        host.create(name);
    }
    // A hand-written intent has no source.
    let toplevel = host.intent("db")["toplevel"].clone();
    let own = json!({"version": 1, "toplevel": toplevel, "autostart": false});
    host.write("/etc/nixos-nspawn/own.json", own.to_string(), 0o644);
    host.ok(&["systemctl", "daemon-reload"]);

    let said = host.ctl_ok(&["hold", "held", "the month's end"]).stdout;
    assert_eq!(said, "container 'held' is held; 'update --all' skips it\n");
    assert!(host.ctl_ok(&["hold", "held", "the month's end"]).stdout.contains("is already held"));
    set("two\n", with("two\n", "switch", json!("exit 1")));
    let output = host.ctl(&["update", "--all", "--jobs", "2"]);
    assert_eq!(output.code(), 1, "{output}");
    for (name, result, page) in [
        ("db", "updated", "two\n"),
        ("app", "updated", "two\n"),
        ("held", "skipped", "one\n"),
        ("bad", "failed", "one\n"),
    ] {
        assert_eq!(line(&output, name).split_whitespace().nth(1), Some(result), "{output}");
        assert_eq!(host.system_page(name), page, "{output}");
        host.assert_agreed(name);
    }
    assert!(line(&output, "held").contains("the month's end"), "{output}");
    assert!(
        line(&output, "own").contains("skipped") && line(&output, "own").contains("no source"),
        "{output}"
    );
    let order: Vec<usize> =
        ["db", "app"].iter().filter_map(|name| output.stdout.find(&format!("\n{name} "))).collect();
    assert!(order[0] < order[1], "app requires db: {output}");
    assert_eq!(host.sh("find /nix/var/nix/profiles/per-nspawn -name 'ahead*'"), "");

    // A failed generation is not activated again until the source builds another one or --retry is given.
    let nspawn = host.nspawn("bad");
    let output = host.ctl_ok(&["update", "--all"]);
    assert!(line(&output, "bad").contains("skipped") && output.stdout.contains("--retry"), "{output}");
    assert!(line(&output, "db").contains("up to date"), "{output}");
    assert_eq!(host.nspawn("bad"), nspawn);
    let listed = host.listed("bad").expect("a container");
    assert_eq!(listed["last_failure"]["kind"], "failed", "{listed}");
    let listed = host.listed("held").expect("a container");
    assert_eq!(listed["held"]["reason"], "the month's end", "{listed}");
    let status: Value =
        serde_json::from_str(&host.ctl_ok(&["status", "held", "--json"]).stdout).expect("JSON");
    assert!(status["held"]["since"].as_str().is_some_and(|since| since.starts_with("20")), "{status}");
    let text = host.ctl_ok(&["list"]).stdout;
    assert!(text.contains("its last update failed at 20") && text.contains("held since 20"), "{text}");
    // A held container can be updated by its name, and stays held.
    host.ctl_ok(&["update", "held"]);
    assert_eq!(host.system_page("held"), "two\n");
    assert_eq!(host.listed("held").expect("a container")["held"], listed["held"]);
    assert_eq!(host.ctl(&["update", "--all", "--retry"]).code(), 1);
    set("three\n", dynamic("three\n"));
    let output = host.ctl_ok(&["update", "--all"]);
    assert!(line(&output, "bad").contains("updated"), "{output}");
    assert_eq!(host.listed("bad").expect("a container")["last_failure"], Value::Null);
    host.ctl_ok(&["unhold", "held"]);
    assert!(line(&host.ctl_ok(&["update", "--all"]), "held").contains("updated"));

    // A rollback is not undone either.
    host.ctl_ok(&["rollback", "db"]);
    let output = host.ctl_ok(&["update", "--all"]);
    assert!(
        line(&output, "db").contains("skipped") && line(&output, "db").contains("rolled back"),
        "{output}"
    );
    assert_eq!(host.system_page("db"), "two\n");
    // An update by name is performed.
    host.ctl_ok(&["update", "db"]);
    assert_eq!(host.system_page("db"), "three\n");

    // A port that another container has claimed since does not prevent a rollback.
    host.own(&json!({"db": with_option("port\n", "forwardPorts", json!(["8081:80"]))}));
    host.ctl_ok(&["update", "db", "--allow-host-changes"]);
    host.ctl_ok(&["update", "db", "--profile", &profile(host, "db", 3), "--allow-host-changes"]);
    let claims = json!({"version": 1, "toplevel": toplevel, "autostart": false, "container": {"forwardPorts": ["8081:80"]}});
    host.write("/etc/nixos-nspawn/own.json", claims.to_string(), 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    let output = host.ctl_ok(&["rollback", "db"]);
    assert!(output.stderr.contains("is also claimed by 'own'"), "{output}");
    assert_eq!(host.system_page("db"), "port\n");
    // Nor does a port that the container already holds prevent its update.
    host.own(&json!({"db": with_option("later\n", "forwardPorts", json!(["8081:80"]))}));
    host.ctl_ok(&["update", "db", "--flake", FLAKE]);
    assert_eq!(host.system_page("db"), "later\n");
}

/// Returns the profile of a generation.
fn profile(host: &Host, name: &str, generation: u64) -> String {
    host.ok(&["readlink", &format!("/nix/var/nix/profiles/per-nspawn/{name}/system-{generation}-link")])
        .trim()
        .to_owned()
}

/// The checks are stored with the container, so that a timer needs no flags.
fn stored_checks(host: &Host) {
    host.install(bins());
    let with_check = |page: &str, word: &str| {
        let mut settings = dynamic(page);
        let activation = &mut settings["container"]["activation"];
        activation["check"] = json!(format!("grep -q {word} /run/current-system/etc/page"));
        activation["timeout"] = json!("3s");
        settings
    };
    web(host, &with_check("good\n", "good"));
    host.create("web");
    assert_eq!(host.ctl_ok(&["check", "web"]).stdout, "container 'web' is healthy\n");
    let sick = host.ctl(&["check", "web", "--check", "echo unwell >&2; false", "--timeout", "1s", "--json"]);
    let answer: Value = serde_json::from_str(&sick.stdout).expect("JSON");
    assert_eq!((sick.code(), &answer["healthy"]), (1, &json!(false)), "{sick}");
    let error = "check 'echo unwell >&2; false' in container 'web' failed: exit status 1: unwell";
    assert_eq!(answer["error"], error, "{sick}");

    web(host, &with_check("bad\n", "good"));
    let failed = rolled_back(host, &[]);
    assert!(failed.stderr.contains("grep -q good"), "{failed}");
    assert!(!failed.stderr.contains("nixos-nspawn-check-"), "its units are no news: {failed}");
    // Flags override what is stored.
    host.ctl_ok(&["update", "web", "--check", ""]);
    assert_eq!(host.system_page("web"), "bad\n");
    assert_eq!(host.ctl(&["check", "web"]).code(), 1);
    host.ok(&["systemctl", "stop", &unit("web")]);
    let stopped = host.ctl(&["check", "web"]);
    assert!(stopped.code() == 1 && stopped.stderr.contains("is inactive"), "{stopped}");

    // The recorded limit of a build counts, unless the command line has one.
    let slow = |page: &str| {
        let mut settings = with(page, "switch", json!("$(sleep 5)"));
        settings["container"]["activation"]["buildTimeout"] = json!("2s");
        settings
    };
    web(host, &slow("limited\n"));
    host.ctl_ok(&["update", "web"]);
    web(host, &slow("late\n"));
    for names in [&["web"][..], &["--all"]] {
        let late = host.ctl(&[&["update"], names].concat());
        assert!(!late.success() && late.text().contains("took longer than 2 s and was ended"), "{late}");
        assert_eq!(host.generation("web"), 3, "{late}");
    }
    host.ctl_ok(&["update", "web", "--build-timeout", "1min"]);
    assert_eq!(host.generation("web"), 4);
    web(host, &slow("later\n"));
    let late = host.ctl(&["update", "web", "--build-timeout", "1s"]);
    assert!(late.code() == 11 && late.stderr.contains("took longer than 1 s"), "{late}");
}

/// A host of an input that does not exist is no missing network.
fn hosts_that_do_not_exist(host: &Host) {
    host.install(bins());
    web(host, &dynamic("one\n"));
    host.sh("printf '127.0.0.1 good.example\\n' >> /etc/hosts");
    publish(host);
    host.sh("busybox httpd -p 127.0.0.1:8099 -h /srv/www");
    // An input of a local flake, whose revision is locked when it is first used.
    let input = |name: &str| {
        let line = format!("  inputs.{name}.url = \"http://{name}.example:8099/flake.tar.gz\";");
        host.sh(&format!("sed -i 's|^  outputs =$|{line}\\n  outputs =|; s|{{ self }}:|{{ self, ... }}:|' {FLAKE}/flake.nix"));
    };
    input("good");
    host.create("web");
    input("typo");
    let failed = host.ctl(&["update", "web"]);
    assert_eq!(failed.code(), 11, "{failed}");
    let said = "host 'typo.example' of an input cannot be found, but 'good.example' can";
    assert!(failed.stderr.contains(said), "{failed}");
    assert!(!failed.stderr.contains("cannot be refreshed"), "{failed}");
    assert_eq!(host.generation("web"), 1);

    // If no other host can be found either, there is no network.
    host.sh("sed -i '/good.example/d' /etc/hosts; rm -rf /root/.cache/nix");
    let output = host.ctl_ok(&["update", "web"]);
    assert!(
        output.stderr.contains("cannot be refreshed") && output.stderr.contains("cannot be found"),
        "{output}"
    );
    assert!(output.stdout.contains("is up to date with the last known revision"), "{output}");
}

//! Commands for other hosts, over ssh: systemd 257 and 262, builds on the one that gives the commands.

use nixos_nspawn_tests::answers;
use nixos_nspawn_tests::host::{CONTROLLER, FLAKE, Fleet, Host, Output, Suite, bins, dynamic};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// Packs the flake for the server on the controller.
fn publish(host: &Host, page: &str) {
    host.own(&json!({ "web": dynamic(page) }));
    host.sh(&format!("mkdir -p /srv/flakes; tar -czf /srv/flakes/flake.tar.gz -C {FLAKE} ."));
}

/// Runs a command on the controller. Its answer is that of several hosts or another host's, which has its own tests.
fn ctl(fleet: &Fleet, arguments: &str) -> Output {
    let patience = std::time::Duration::from_secs(180);
    let words: Vec<&str> = std::iter::once("nixos-nspawn").chain(arguments.split(' ')).collect();
    fleet.controller.run_with(&words, None, patience)
}

fn ctl_ok(fleet: &Fleet, arguments: &str) -> Output {
    let output = ctl(fleet, arguments);
    assert!(output.success(), "{arguments}: {output}");
    output
}

#[test]
fn commands_for_other_hosts() {
    let fleet = Fleet::boot(&[Suite::Trixie, Suite::Forky], bins());
    let (controller, [alpha, beta]) = (&fleet.controller, &fleet.hosts[..]) else { panic!("two hosts") };
    for host in &fleet.hosts {
        // Whatever is built was built elsewhere.
        host.sh("echo 'max-jobs = 0' >> /etc/nix/nix.conf");
    }
    publish(controller, "one\n");
    controller.sh(&format!(
        "systemd-run --quiet --unit=flakes busybox httpd -f -p {CONTROLLER}:8000 -h /srv/flakes"
    ));

    // A flake of this host: its build is copied, and recorded as a profile there.
    let output = ctl_ok(&fleet, &format!("create local --flake {FLAKE}#web -H host1"));
    assert!(output.stdout.contains("container 'local' is created and running"), "{output}");
    assert_eq!(alpha.system_page("local"), "one\n");
    let source = alpha.intent("local")["source"].clone();
    assert!(source["profile"].as_str().is_some_and(|path| path.starts_with("/nix/store/")), "{source}");
    assert!(!controller.exists("/etc/nixos-nspawn/local.json"));
    moves(&fleet);
    // Answers and exit codes are those of the host.
    let there = alpha.ctl_ok(&["list", "--json"]).stdout;
    assert_eq!(ctl_ok(&fleet, "-H root@host1:22 list --json").stdout, there);
    let missing = ctl(&fleet, "show none -H host1");
    assert_eq!((missing.code(), missing.stderr.contains("'none'")), (2, true), "{missing}");

    // A flake that both can reach is recorded, at the revision that was built here.
    let url = format!("http://{CONTROLLER}:8000/flake.tar.gz");
    let created = ctl_ok(&fleet, &format!("create web --flake {url} -H host1 --host=host2"));
    let rows: Vec<&str> = created.stdout.lines().rev().take(3).collect();
    assert!(rows[2].starts_with("HOST   RESULT  TIME") && rows[1].starts_with("host1  done"), "{created}");
    for host in [alpha, beta] {
        assert_eq!(host.system_page("web"), "one\n");
        let source = host.intent("web")["source"].clone();
        assert_eq!(source["flake"], url.as_str());
        assert!(source["locked"].as_str().is_some_and(|text| text.contains("narHash")), "{source}");
    }
    // An update builds here what is recorded there.
    publish(controller, "two\n");
    let on_host = ctl(&fleet, "update web --build-on-host -H host1");
    assert_ne!(on_host.code(), 0, "nothing can be built there: {on_host}");
    let plan = ctl_ok(&fleet, "plan web --host host1");
    assert!(plan.stdout.contains("system: "), "{plan}");
    controller.write("/root/hosts", "# both\nhost1\nhost2\n\n", 0o644);
    let updated = ctl_ok(&fleet, "update web --json --hosts-file /root/hosts");
    answers::check(&["hosts", "--json"], true, &updated.stdout);
    let answers: Vec<Value> = serde_json::from_str(&updated.stdout).expect("JSON");
    for (answer, name) in answers.iter().zip(["host1", "host2"]) {
        assert_eq!((&answer["host"], &answer["exit_status"]), (&json!(name), &json!(0)), "{answer}");
        assert_eq!(answer["answer"][0]["result"], "updated", "{answer}");
    }
    assert_eq!((alpha.system_page("web"), beta.system_page("web")), ("two\n".to_owned(), "two\n".to_owned()));
    let again = ctl_ok(&fleet, "update --all -H host2");
    assert!(again.stdout.contains("up to date"), "{again}");
    // A profile has nothing to build. What a host has recorded as arguments for Nix is not used here.
    let all = ctl_ok(&fleet, "update --all -H host1");
    assert!(all.stdout.contains("local  up to date") && !all.stderr.contains("'local'"), "{all}");
    ctl_ok(&fleet, &format!("create given --flake {url}#web --no-start -H host1 -- --option sandbox false"));
    assert_eq!(alpha.intent("given")["source"]["nixArgs"], json!(["--option", "sandbox", "false"]));
    let given = ctl(&fleet, "plan given -H host1");
    assert!(
        given.stderr.contains("host1: 'given' is built there: its source has arguments for Nix"),
        "{given}"
    );
    ctl_ok(&fleet, "remove given --delete-state -H host1");
    let relative = ctl(&fleet, "update web --bind data:/data -H host1");
    assert_eq!(relative.code(), 2, "{relative}");
    assert!(relative.stderr.contains("--bind data:/data: is relative"), "{relative}");

    // Their containers are in one table, as those of one host.
    ctl_ok(&fleet, "hold local -H host1");
    let listed = ctl_ok(&fleet, "list -H host1 -H host2").stdout;
    ctl_ok(&fleet, "unhold local -H host1");
    assert!(listed.lines().next().is_some_and(|heads| heads.ends_with("  NOTE")), "{listed}");
    assert!(listed.lines().any(|row| row.starts_with("host1  local") && row.ends_with("  held")), "{listed}");
    let heads: Vec<&str> = listed.lines().next().unwrap_or_default().split_whitespace().take(3).collect();
    assert_eq!(heads, ["HOST", "NAME", "STATE"], "{listed}");
    let rows: Vec<Vec<&str>> = listed
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().take(3).collect())
        .collect();
    assert_eq!(
        rows,
        [["host1", "local", "active"], ["host1", "web", "active"], ["host2", "web", "active"]],
        "{listed}"
    );
    // A host that cannot be reached fails alone.
    let one = ctl(&fleet, "list -H host1 -H 10.88.0.1");
    assert_eq!(one.code(), 1, "{one}");
    assert!(one.stderr.contains("10.88.0.1: cannot be reached: "), "{one}");
    assert!(one.stdout.contains("\nhost1      done") && one.stdout.contains("\n10.88.0.1  not run"), "{one}");
    assert_eq!(ctl(&fleet, "list -H 10.88.0.1").code(), 11);

    // Another user becomes root by sudo, or is told why not.
    alpha.sh("useradd -m -s /bin/sh me; mkdir /home/me/.ssh; cp /root/.ssh/authorized_keys /home/me/.ssh/; chown -R me: /home/me/.ssh");
    for hosts in ["-H me@host1", "-H me@host1 -H me@host1:22"] {
        let refused = ctl(&fleet, &format!("disable web {hosts}"));
        let said = format!("{}{}", refused.stdout, refused.stderr);
        let next = "log in as root, or let sudoers(5) there allow user me to run ";
        assert!(said.contains("sudo: a password is required") && said.contains(next), "{refused}");
        assert_eq!(refused.code(), 1, "{refused}");
    }
    alpha.write("/etc/sudoers.d/me", "me ALL=(ALL) NOPASSWD: ALL\n", 0o440);
    ctl_ok(&fleet, "disable web -H me@host1");
    assert_eq!(alpha.intent("web")["autostart"], false);
    // Its failures are its own.
    let missing = ctl(&fleet, "enable none -H me@host1");
    assert!(missing.code() == 2 && !missing.stderr.contains("sudoers"), "{missing}");
    publish(controller, "three\n");
    alpha.sh("systemd-run --quiet --unit=nix-daemon nix-daemon");
    let refused = ctl(&fleet, "update web -H me@host1");
    assert!(refused.stderr.contains("trusted-users in nix.conf(5)"), "{refused}");
    assert_eq!(alpha.system_page("web"), "two\n");
    alpha.sh("echo 'extra-trusted-users = me' >> /etc/nix/nix.conf; systemctl stop nix-daemon");
    alpha.sh("systemd-run --quiet --unit=nix-daemon nix-daemon");
    // What several hosts do is in one table.
    let updated = ctl_ok(&fleet, "update web -H me@host1 -H host2");
    assert!(!updated.stderr.contains(": nixos-nspawn: "), "{updated}");
    let updated = updated.stdout;
    let rows: Vec<Vec<&str>> =
        updated.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    let expected = [["HOST", "NAME", "RESULT"], ["me@host1", "web", "updated"], ["host2", "web", "updated"]];
    assert_eq!(rows, expected, "{updated}");
    assert_eq!([alpha, beta].map(|host| host.system_page("web")), ["three\n", "three\n"]);

    apply(&fleet);
    mistakes(&fleet, beta);
}

/// A container moves to a host that has nothing of it, and can build nothing.
fn moves(fleet: &Fleet) {
    let [alpha, beta] = &fleet.hosts[..] else { panic!("two hosts") };
    let root = "/var/lib/machines/local";
    alpha.fill_state(root);
    alpha.ctl_ok(&["disable", "local"]);
    let (state, intent) = (alpha.imported_state(root), alpha.intent("local"));
    let system = intent["toplevel"].as_str().expect("a system");
    assert!(!beta.exists(system));
    ctl_ok(fleet, "stop local -H host1");
    ctl_ok(fleet, "export local --output /root/local.archive -H host1");
    fleet.controller.ok(&["scp", "-q", "-3", "host1:/root/local.archive", "host2:/root/local.archive"]);
    let imported = ctl_ok(fleet, "import archive /root/local.archive -H host2");
    assert!(imported.stdout.contains("container 'local' is imported"), "{imported}");
    assert_eq!(beta.imported_state(root), state);
    beta.ok(&["nix-store", "--verify-path", system]);
    ctl_ok(fleet, "start local -H host2");
    beta.assert_agreed("local");
    assert_eq!(beta.system_page("local"), "one\n");
    assert_eq!(
        (&beta.intent("local")["autostart"], &beta.intent("local")["container"]),
        (&json!(false), &intent["container"])
    );
    ctl_ok(fleet, "remove local --delete-state -H host2");
    ctl_ok(fleet, "start local -H host1");
}

/// A flake whose containers say for which hosts they are.
const INFRA: &str = r#"{
  outputs = { self }:
    let
      make = name: hosts:
        import ./container.nix { inherit name; system = "x86_64-linux"; page = "PAGE"; }
        // { config.nixosContainer = { inherit hosts; }; };
    in
    {
      nixosContainers = { app = make "app" null; one = make "one" [ "first" ]; none = make "none" [ "third" ]; };
    };
}"#;

/// A host gets what the flake has for it, built here.
fn apply(fleet: &Fleet) {
    let controller = &fleet.controller;
    let publish = |page: &str| {
        controller.write("/root/infra/flake.nix", INFRA.replace("PAGE", page), 0o644);
        controller.sh(&format!(
            "cp {FLAKE}/container.nix /root/infra; tar -czf /srv/flakes/infra.tar.gz -C /root/infra ."
        ));
    };
    publish("a");
    fleet.hosts[0].write("/etc/nixos-nspawn.conf", "[Host]\nTags=first\n", 0o644);
    let flake = format!("http://{CONTROLLER}:8000/infra.tar.gz");
    let applied = ctl_ok(fleet, &format!("apply --flake {flake} -H host1 -H host2")).stdout;
    let mut rows: Vec<Vec<&str>> =
        applied.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()).collect();
    rows.sort_unstable();
    let created = [["host1", "app", "created"], ["host1", "one", "created"], ["host2", "app", "created"]];
    assert_eq!(rows, created, "{applied}");
    let has = |host: &Host, name: &str| host.exists(&format!("/etc/nixos-nspawn/{name}.json"));
    let there: Vec<[bool; 3]> =
        fleet.hosts.iter().map(|host| ["app", "one", "none"].map(|name| has(host, name))).collect();
    assert_eq!(there, [[true, true, false], [true, false, false]]);
    assert_eq!(fleet.hosts[1].intent("app")["source"]["applied"], true);
    // The flake that was applied there is taken again.
    publish("b");
    let applied = ctl_ok(fleet, "apply -H host2");
    assert!(
        applied.stdout.lines().any(|line| line.starts_with("app ") && line.contains("updated")),
        "{applied}"
    );
    let applied = ctl_ok(fleet, "apply -H host2");
    assert!(applied.stdout.contains("up to date"), "{applied}");
    let local = ctl(fleet, "apply --flake /root/infra -H host2");
    assert_eq!(local.code(), 2, "{local}");
    assert!(local.stderr.contains("host2 applies the flake itself"), "{local}");
}

fn mistakes(fleet: &Fleet, beta: &Host) {
    let usage = |arguments: &str, why: &str| {
        let output = ctl(fleet, arguments);
        assert_eq!(output.code(), 2, "{output}");
        assert!(output.stderr.contains(why), "{output}");
        assert_eq!(output.stderr.lines().count(), 1, "{output}");
    };
    usage("list -H=-oProxyCommand=touch${IFS}/root/pwned", "is not the name or address of a host");
    usage("list --host root@-oProxyCommand=x", "is not the name or address of a host");
    usage("list --hosts-file /root/none", "/root/none: ");
    usage("list --root /tmp -H host1", "--root /tmp is a tree of this host");
    usage("update web --build-on-host", "--build-on-host needs --host");
    usage(
        &format!("create x --flake {FLAKE}#web --build-on-host -H host1"),
        "cannot read the files of this host",
    );
    assert!(!fleet.controller.exists("/root/pwned"));
    let without_ssh = ["env", "PATH=/root/none", "/usr/local/bin/nixos-nspawn", "list", "-H", "host1"];
    let without_ssh = fleet.controller.run(&without_ssh);
    assert_eq!(without_ssh.code(), 11, "{without_ssh}");
    assert!(without_ssh.stderr.contains("host1: cannot be asked: ssh: not found"), "{without_ssh}");
    // Words cannot leave their quotes.
    let strange = ctl(fleet, "show $(touch${IFS}/pwned);'x -H host1");
    assert_eq!(strange.code(), 2, "{strange}");
    assert!(!fleet.hosts[0].exists("/pwned"));

    let program = "/usr/local/bin/nixos-nspawn-ctl";
    beta.sh(&format!("mv {program} /root/ctl"));
    beta.write(program, "#!/bin/sh\necho nixos-nspawn 0.0.9\n", 0o755);
    let older = ctl(fleet, "list -H host2");
    assert_eq!(older.code(), 10, "{older}");
    assert!(older.stderr.contains("host2: nixos-nspawn there is 0.0.9, older than "), "{older}");
    beta.sh(&format!("rm {program} /usr/local/bin/nixos-nspawn"));
    let none = ctl(fleet, "list -H host2");
    assert_eq!(none.code(), 10, "{none}");
    assert!(none.stderr.contains("host2: nixos-nspawn is not installed there"), "{none}");
}

//! A whole host from one flake: `apply` creates, updates, starts and removes, leaves others alone, and continues after it
//! was killed.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

on_both_hosts!(whole_host, killed_and_twice_at_once, what_is_left_alone);

/// A flake whose containers say for which hosts they are.
const HOSTS: &str = "/root/hosts";

const TEXT: &str = r#"{
  outputs = { self }:
    let
      own = builtins.fromJSON (builtins.readFile ./own.json);
      make = name: settings@{ hosts ? null, ... }:
        import ./container.nix ({ inherit name; system = "x86_64-linux"; } // removeAttrs settings [ "hosts" ])
        // { config.nixosContainer = { inherit hosts; }; };
    in
    { nixosContainers = builtins.mapAttrs make own; };
}"#;

fn install(host: &Host) {
    host.install(bins());
    host.write(&format!("{HOSTS}/flake.nix"), TEXT, 0o644);
    host.sh(&format!("cp {FLAKE}/container.nix {HOSTS}/"));
}

fn hosts(host: &Host, containers: &Value) {
    host.write(&format!("{HOSTS}/own.json"), containers.to_string(), 0o644);
}

/// Applies the flake and returns the results by name: what was done, and whether that is a change.
fn apply(host: &Host, more: &[&str]) -> Value {
    let output = host.ctl(&[&["apply", "--flake", HOSTS, "--json"], more].concat());
    let all: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
    let one = |one: &Value| {
        let key = if more.contains(&"--dry-run") { "would" } else { "result" };
        let word = one[key].as_str().expect("a word");
        let word = if one["changed"] == true { format!("{word}!") } else { word.to_owned() };
        (one["name"].as_str().expect("a name").to_owned(), json!(word))
    };
    all.as_array().expect("a list").iter().map(one).collect()
}

fn whole_host(host: &Host) {
    install(host);
    // Created by hand from the same flake.
    hosts(host, &json!({"hand": dynamic("one\n")}));
    host.ctl_ok(&["create", "hand", "--flake", HOSTS]);
    let hand = (host.recorded("hand"), host.nspawn("hand"));

    let on = |page: &str, hosts: Value| {
        let mut settings = dynamic(page);
        settings["hosts"] = hosts;
        settings
    };
    let flake = |page: &str| {
        json!({
            "hand": dynamic(page),
            "web": dynamic(page),
            "db": on(page, json!(["edge", "elsewhere"])),
            "mail": on(page, json!(["elsewhere"])),
        })
    };
    hosts(host, &flake("one\n"));
    host.write("/etc/nixos-nspawn.conf", "[Host]\nName=alpha\nTags=edge small\n", 0o644);
    let would = apply(host, &["--dry-run"]);
    assert_eq!(would, json!({"db": "create!", "hand": "skip", "web": "create!"}));
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
    assert_eq!(host.ctl(&["apply", "--flake", HOSTS, "--dry-run", "--exit-code"]).code(), 4);

    assert_eq!(apply(host, &[]), json!({"db": "created!", "hand": "skipped", "web": "created!"}));
    assert_eq!((host.system_page("web"), host.system_page("db")), ("one\n".to_owned(), "one\n".to_owned()));
    assert_eq!(host.intent("web")["source"]["applied"], true);
    // Again, now without naming the flake, and in text: nothing changes.
    let processes = (host.nspawn("web"), host.nspawn("db"));
    let again = host.ctl_ok(&["apply"]);
    assert!(
        again.stdout.lines().any(|line| line.starts_with("web ") && line.contains("up to date")),
        "{again}"
    );
    assert!(
        again
            .stdout
            .lines()
            .any(|line| line.starts_with("hand ") && line.contains("was not created by 'apply'")),
        "{again}"
    );
    assert_eq!((host.nspawn("web"), host.nspawn("db")), processes);
    assert_eq!(host.ctl(&["apply", "--dry-run", "--exit-code"]).code(), 0);

    // What should run is started; what is held is left alone.
    host.ok(&["systemctl", "stop", "systemd-nspawn@web.service"]);
    host.ctl_ok(&["hold", "db", "for a test"]);
    hosts(host, &flake("two\n"));
    assert_eq!(apply(host, &[]), json!({"db": "skipped", "hand": "skipped", "web": "updated!"}));
    assert_eq!((host.system_page("web"), host.system_page("db")), ("two\n".to_owned(), "one\n".to_owned()));
    host.ctl_ok(&["unhold", "db"]);
    host.ok(&["systemctl", "stop", "systemd-nspawn@web.service"]);
    assert_eq!(apply(host, &["web", "--dry-run"]), json!({"web": "start!"}));
    assert_eq!(apply(host, &["web", "--no-start"]), json!({"web": "up_to_date"}));
    assert_eq!(apply(host, &["web"]), json!({"web": "started!"}));

    // One that fails does not hold up the others; its next run is its own.
    let mut broken = flake("three\n");
    broken["web"]["switch"] = json!("exit 1");
    broken["new"] = json!({"boot": "exit 1", "container": {"timeoutStartSec": "5s"}});
    hosts(host, &broken);
    let failed = host.ctl(&["apply", "--flake", HOSTS]);
    assert_eq!(failed.code(), 1, "{failed}");
    let row = |name: &str| failed.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(row("web ").contains("failed") && row("db ").contains("updated"), "{failed}");
    assert!(row("new ").contains("did not start"), "{failed}");
    assert_eq!((host.system_page("web"), host.system_page("db")), ("two\n".to_owned(), "three\n".to_owned()));

    // What the flake no longer has stays until --prune, which keeps its state.
    let mut less = flake("four\n");
    less.as_object_mut().expect("an object").remove("db");
    hosts(host, &less);
    assert_eq!(
        apply(host, &["--dry-run", "--prune"]),
        json!({"db": "remove!", "hand": "skip", "new": "remove!", "web": "update!"})
    );
    assert_eq!(apply(host, &[]), json!({"db": "gone", "hand": "skipped", "new": "gone", "web": "updated!"}));
    assert_eq!(host.state("db"), "active");
    host.inside("db", &["touch", "/var/kept"]);
    host.ctl_ok(&["hold", "db"]);
    assert_eq!(apply(host, &["--prune", "db"]), json!({"db": "skipped"}));
    assert_eq!(host.state("db"), "active");
    host.ctl_ok(&["unhold", "db"]);
    assert_eq!(
        apply(host, &["--prune"]),
        json!({"db": "removed!", "hand": "skipped", "new": "removed!", "web": "up_to_date"})
    );
    assert!(!host.exists("/etc/nixos-nspawn/db.json") && host.exists("/var/lib/machines/db/var/kept"));
    assert_eq!((host.recorded("hand"), host.nspawn("hand")), hand);

    // Bad input changes nothing.
    for (words, code, text) in [
        (&["apply", "nobody"][..], 10, "there is no container 'nobody' for this host (alpha, edge, small)"),
        (&["apply", "--flake", "/root/hosts#web"][..], 2, "'apply' takes a whole flake"),
        (&["apply", "--flake", "/root/nowhere"][..], 10, "/root/nowhere"),
    ] {
        let refused = host.ctl(words);
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.stderr.contains(text), "{refused}");
    }
    hosts(host, &json!({"web": dynamic("four\n"), "no_name": dynamic("x\n")}));
    let unnamed = host.ctl(&["apply", "--flake", HOSTS]);
    assert_eq!(unnamed.code(), 1, "{unnamed}");
    assert!(unnamed.stderr.contains("nixosContainers.no_name is left out"), "{unnamed}");
    assert_eq!(host.system_page("web"), "four\n");
}

fn killed_and_twice_at_once(host: &Host) {
    install(host);
    let all: Value = ["a", "b", "c"].iter().map(|name| ((*name).to_owned(), dynamic("one\n"))).collect();
    hosts(host, &all);
    let journal = "nixos-nspawn apply --flake /root/hosts > /run/one 2>&1 & echo $! > /run/pid";
    host.sh(journal);
    host.wait_until("the first is created", || host.exists("/etc/nixos-nspawn/a.json"));
    host.sh("kill -KILL $(cat /run/pid)");
    // What it was about to do is done by the next one.
    let rest = apply(host, &[]);
    let created = |name: &str| rest[name] == "created!" || rest[name] == "started!";
    assert!(created("a") && created("b") && created("c"), "{rest}");
    for name in ["a", "b", "c"] {
        host.assert_agreed(name);
        assert_eq!(host.state(name), "active");
    }

    // A second one waits for the first, and says for whom.
    let mut slow = dynamic("two\n");
    slow["switch"] =
        json!("$(touch /run/building; for i in $(seq 600); do [ ! -e /run/go ] || break; sleep 0.1; done)");
    let mut next = all.clone();
    next["b"] = slow;
    hosts(host, &next);
    let script = r#"
        soon() { for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done; echo "not so: $*"; exit 1; }
        nixos-nspawn apply --flake /root/hosts > /run/first 2>&1 & first=$!
        soon test -e /run/building
        nixos-nspawn apply --flake /root/hosts > /run/second 2>&1 & second=$!
        soon grep -q "the set of containers of this host is being changed by process $first, waiting" /run/second
        touch /run/go
        wait $first; wait $second
        cat /run/first /run/second"#;
    let output = host.run_with(&["sh", "-euc", script], None, std::time::Duration::from_secs(150));
    assert!(output.success(), "{output}");
    assert_eq!(host.system_page("b"), "two\n");
}

/// What `apply` of this very flake has not made, or what may still be in it, is not touched.
fn what_is_left_alone(host: &Host) {
    install(host);
    let off = json!({"container": {"activation": {"autoStart": false}}});
    hosts(host, &json!({"web": dynamic("one\n"), "off": off}));
    assert_eq!(apply(host, &[]), json!({"off": "created!", "web": "created!"}));
    assert_eq!((host.state("off"), host.state("web")), ("inactive".to_owned(), "active".to_owned()));
    let before = (host.recorded("web"), host.nspawn("web"));

    // Another spelling is the same flake, and a copy is another one.
    host.sh(&format!("ln -s {HOSTS} /root/link; cp -a {HOSTS} /root/other"));
    for same in ["/root/hosts/", "/root/link"] {
        let output = host.ctl_ok(&["apply", "--flake", same]);
        assert!(
            output.stdout.lines().any(|line| line.starts_with("web ") && line.contains("up to date")),
            "{output}"
        );
    }
    let other = host.ctl(&["apply", "--flake", "/root/other", "--prune"]);
    assert_eq!(other.code(), 1, "{other}");
    assert!(other.stdout.contains("  was applied from /root/hosts, and is left alone"), "{other}");

    // A copy of an intent is not what apply has made.
    host.sh("sed 's/\"name\": \"off\"/\"name\": \"copy\"/' /etc/nixos-nspawn/off.json > /etc/nixos-nspawn/copy.json");
    assert_eq!(apply(host, &["--prune"]), json!({"off": "up_to_date", "web": "up_to_date"}));
    assert!(host.exists("/etc/nixos-nspawn/copy.json"));
    host.sh("rm /etc/nixos-nspawn/copy.json; systemctl daemon-reload");

    // Whether it is for this host cannot be known.
    let mut unknown = dynamic("one\n");
    unknown["hosts"] = json!("alpha");
    hosts(host, &json!({"web": unknown.clone(), "new": unknown, "off": off}));
    let output = host.ctl(&["apply", "--flake", HOSTS, "--prune"]);
    assert_eq!(output.code(), 1, "{output}");
    assert!(
        output.stderr.contains("nixosContainers.web is left out: 'nixosContainer.hosts' cannot be evaluated"),
        "{output}"
    );
    assert!(!host.exists("/etc/nixos-nspawn/new.json"));
    // Nix cannot catch every error; the others are still applied.
    let text = TEXT.replace("inherit hosts;", "hosts = if hosts == null then null else hosts.missing;");
    host.write(&format!("{HOSTS}/flake.nix"), text, 0o644);
    let output = host.ctl(&["apply", "--flake", HOSTS, "--prune"]);
    assert_eq!(output.code(), 1, "{output}");
    assert!(
        output.stdout.lines().any(|line| line.starts_with("off ") && line.contains("up to date")),
        "{output}"
    );
    host.write(&format!("{HOSTS}/flake.nix"), TEXT, 0o644);

    // Nothing at all is more likely a mistake.
    hosts(host, &json!({}));
    let refused = host.ctl(&["apply", "--flake", HOSTS, "--prune"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("to remove them, name them: off web"), "{refused}");
    hosts(host, &json!({"web": dynamic("one\n")}));
    let by_system = TEXT.replace("nixosContainers =", "nixosContainers.x86_64-linux =");
    host.write(&format!("{HOSTS}/flake.nix"), by_system, 0o644);
    let refused = host.ctl(&["apply", "--flake", HOSTS, "--prune", "--system", "aarch64-linux"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("it has some for x86_64-linux; see --system"), "{refused}");
    assert_eq!((host.recorded("web"), host.nspawn("web")), before);
    hosts(host, &json!({}));
    assert_eq!(apply(host, &["--prune", "off"]), json!({"off": "removed!"}));
}

//! The short forms of systemd's commands on a real systemd: what they run, their exit statuses, and what they refuse.

use nixos_nspawn_tests::host::{FLAKE, Host, bins};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(words_of_systemd);

/// Asserts that a command fails with a status and a text.
#[track_caller]
fn fails(host: &Host, words: &[&str], code: i32, text: &str) {
    let output = host.ctl(words);
    assert!(output.code() == code && output.stderr.contains(text), "{words:?}: {output}");
}

fn words_of_systemd(host: &Host) {
    host.install(bins());
    host.create("web");
    host.ctl_ok(&["create", "off", "--flake", FLAKE, "--no-start"]);

    for word in ["start", "stop", "restart", "shell", "logs", "ip", "ssh-host-key"] {
        fails(host, &[word, "nobody"], 2, "there is no container 'nobody'");
    }
    fails(host, &["run", "nobody", "--", "true"], 2, "there is no container 'nobody'");
    fails(host, &["start", "web", "nobody"], 2, "there is no container 'nobody'");
    fails(host, &["--json", "start", "web"], 2, "prints no JSON");
    fails(host, &["shell", "@web"], 2, "a user is missing");
    for words in
        [&["shell", "off"][..], &["ip", "off"], &["ssh-host-key", "off"], &["run", "off", "--", "true"]]
    {
        fails(host, words, 10, "is not running; 'nixos-nspawn start off' starts it");
    }
    let nobody = ["setpriv", "--reuid=nobody", "--clear-groups", "nixos-nspawn"];
    for words in [&["start", "web"][..], &["shell", "web"], &["run", "web", "--", "true"]] {
        let output = host.run(&[&nobody, words].concat());
        assert!(output.code() == 10 && output.stderr.contains("try again with sudo"), "{output}");
    }

    // Several at once; -v prints the command, and a dry run only that.
    let planned = host.ctl_ok(&["stop", "--dry-run", "web", "off"]);
    let command = "systemctl stop -- systemd-nspawn@web.service systemd-nspawn@off.service";
    assert_eq!(planned.stdout, format!("would run '{command}'\n"));
    assert_eq!(host.state("web"), "active");
    let stopped = host.ctl_ok(&["-v", "stop", "web", "off"]);
    assert!(stopped.stderr.contains(command), "{stopped}");
    assert_eq!((host.state("web"), host.state("off")), ("inactive".into(), "inactive".into()));
    assert!(host.ctl_ok(&["logs", "web"]).stdout.contains("systemd-nspawn@web"));
    host.ctl_ok(&["start", "web", "off"]);
    host.ctl_ok(&["restart", "off"]);
    assert_eq!((host.state("web"), host.state("off")), ("active".into(), "active".into()));

    let address = host.address("web");
    let shown = host.ctl_ok(&["ip", "web"]).stdout;
    assert_eq!(shown.lines().next(), Some(address.as_str()), "{shown}");
    let answer: Value = serde_json::from_str(&host.ctl_ok(&["ip", "web", "--json"]).stdout).expect("JSON");
    assert_eq!((&answer["name"], &answer["addresses"][0]), (&json!("web"), &json!(address)));
    // The address of the link may come later.
    let others = host.run(&[&nobody[..], &["ip", "web"]].concat()).stdout;
    assert_eq!(others.lines().next(), Some(address.as_str()), "{others}");

    // Arguments arrive as they are, and the exit status is that of the command.
    let mut tried = host.ctl(&["run", "web", "--", "true"]);
    for _ in 0..20 {
        if tried.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
        tried = host.ctl(&["-v", "run", "web", "--", "true"]);
    }
    assert!(tried.success(), "{tried}");
    let echo = host.ctl_ok(&["run", "web", "--", "echo", "a b", "$HOME", "%n"]);
    assert_eq!(echo.stdout, "a b $HOME %n\n", "{echo}");
    assert_eq!(host.ctl(&["run", "web", "--", "sh", "-c", "exit 7"]).code(), 7);
    let input = host.run_with(
        &["nixos-nspawn", "run", "web", "--", "cat"],
        Some(b"through"),
        std::time::Duration::from_secs(30),
    );
    assert_eq!(input.stdout, "through", "{input}");
    // It has our standard input, and ends with it.
    let shell = |words: &str| {
        let script =
            format!("(sleep 2; echo 'echo in-$(hostname)'; sleep 1; echo exit; sleep 1) | {words} web");
        host.run_with(&["sh", "-c", &script], None, std::time::Duration::from_secs(30))
    };
    let (own, of_systemd) = (shell("nixos-nspawn -v shell"), shell("machinectl shell --quiet --"));
    assert!(own.stderr.contains("+ machinectl shell --quiet -- web"), "{own}");
    assert_eq!((own.code(), own.stdout), (of_systemd.code(), of_systemd.stdout));

    host.ctl_ok(&[
        "run",
        "web",
        "--",
        "sh",
        "-c",
        "mkdir -p /etc/ssh; echo ssh-ed25519 AAAA > /etc/ssh/ssh_host_ed25519_key.pub",
    ]);
    assert_eq!(host.ctl_ok(&["ssh-host-key", "web"]).stdout, "ssh-ed25519 AAAA\n");
    assert!(!host.ctl(&["ssh-host-key", "off"]).success(), "it has none");

    host.ctl_ok(&[
        "run",
        "web",
        "--",
        "sh",
        "-c",
        "echo from-inside | systemd-cat; journalctl --sync || sleep 1",
    ]);
    let inside = host.ctl_ok(&["logs", "web", "-n", "50"]);
    assert!(inside.stdout.contains("from-inside"), "{inside}");
    assert!(host.ctl_ok(&["logs", "web", "--outside"]).stdout.contains("systemd-nspawn@web"));
    let first = host.run(&["sh", "-c", "nixos-nspawn logs web -n 1 --json"]).stdout;
    serde_json::from_str::<Value>(first.lines().next().expect("a message")).expect("JSON");
}

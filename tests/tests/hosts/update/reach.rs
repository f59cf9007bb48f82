//! The consent to a further reach into the host, and updates that only take reach away.

use nixos_nspawn_tests::host::{Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{unchanged, web, with, with_option};

on_both_hosts!(tokens, reach_is_lost_for_good);

fn planned(host: &Host) -> Value {
    let planned = host.ctl_ok(&["plan", "web", "--json"]).stdout;
    serde_json::from_str::<Value>(&planned).expect("JSON")[0]["host_reach"].clone()
}

/// A token accepts what was planned, and nothing else.
fn tokens(host: &Host) {
    host.install(bins());
    let restricted = |page: &str, bind: &str| {
        let mut settings = with_option(page, "capabilities", json!({"drop": ["CAP_SYS_CHROOT"]}));
        settings["container"]["bindMounts"] = json!([bind]);
        settings
    };
    web(host, &restricted("one\n", "/srv/a:/srv/seen"));
    host.create("web");

    // A restriction is lifted, and nothing is added.
    web(host, &with_option("two\n", "bindMounts", json!(["/srv/a:/srv/seen"])));
    let reach = planned(host);
    assert_eq!(reach["no_longer_restricted"], json!(["may use CAP_SYS_CHROOT (capabilities.drop)"]));
    assert_eq!((&reach["can_now"], &reach["needs_consent"]), (&json!([]), &json!(true)));
    let token = reach["token"].as_str().expect("a token").to_owned();
    let output = unchanged(host, 10, &["update", "web"]);
    let accepts = format!("--allow-host-changes={token} accepts exactly that");
    assert!(output.stderr.contains("no longer restricted: may use CAP_SYS_CHROOT"), "{output}");
    assert!(output.stderr.contains(&accepts), "{output}");
    let allow = format!("--allow-host-changes={token}");
    unchanged(host, 2, &["update", "web", "--allow-host-changes="]);

    // The source changes after the plan.
    web(host, &with_option("three\n", "bindMounts", json!(["/srv/a:/srv/seen", "/srv/b:/srv/b"])));
    let output = unchanged(host, 10, &["update", "web", &allow]);
    assert!(output.stderr.contains(&format!("{allow} does not stand for")), "{output}");
    assert!(output.stderr.contains("can now: write /srv/b"), "{output}");
    let token = planned(host)["token"].as_str().expect("a token").to_owned();
    assert!(!allow.ends_with(&token) && output.stderr.contains(&token), "{output}");
    host.ctl_ok(&["update", "web", &format!("--allow-host-changes={token}")]);
    assert_eq!(host.system_page("web"), "three\n");

    // Rollbacks between accepted generations need no consent; a token limits them.
    host.ctl_ok(&["rollback", "web"]);
    let output = unchanged(host, 10, &["rollback", "web", "--to", "2", &allow]);
    assert!(output.stderr.contains("does not stand for"), "{output}");
    let output = host.ctl_ok(&["rollback", "web", "--to", "2", "--dry-run"]);
    assert!(output.stdout.contains("can now: write /srv/b"), "{output}");
    assert!(!output.stdout.contains("needs --allow-host-changes"), "{output}");
    host.ctl_ok(&["rollback", "web", "--to", "2"]);
    assert_eq!(host.generation("web"), 2);
    // A deleted generation, and one that gets its number, were not accepted.
    host.ctl_ok(&["rollback", "web"]);
    host.ctl_ok(&["delete-generations", "web", "2"]);
    unchanged(host, 10, &["update", "web"]);
}

/// A container cannot keep what it is to lose by failing.
fn reach_is_lost_for_good(host: &Host) {
    host.install(bins());
    web(host, &with_option("one\n", "bindMounts", json!(["/srv/a:/srv/seen"])));
    host.create("web");
    host.write("/srv/a/mark", "", 0o644);
    let seen = |expected: bool| {
        let mount = host.run_inside("web", &["test", "-e", "/srv/seen/mark"]);
        assert_eq!(mount.success(), expected, "{mount}");
    };
    seen(true);

    // A check inside fails, or a unit does.
    let failing = |settings: &Value, options: &[&str]| {
        web(host, settings);
        let output = host.ctl_ok(&["plan", "web"]);
        assert!(output.stdout.contains("can no longer: write /srv/a"), "{output}");
        assert!(output.stdout.contains("a failure inside will not undo it"), "{output}");
        let before = host.generation("web");
        let output = host.ctl(&[&["update", "web"], options].concat());
        assert_eq!(output.code(), 1, "{output}");
        assert!(
            output.stderr.contains("is not rolled back, since the change only takes reach away"),
            "{output}"
        );
        assert!(host.generation("web") > before, "{output}");
        assert_eq!(host.intent("web")["container"].get("bindMounts"), None, "{output}");
        output
    };
    failing(&dynamic("two\n"), &["--check", "false", "--timeout", "4s"]);
    seen(false);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "two\n");
    host.ctl_ok(&["rollback", "web"]);
    seen(true);

    // It does not start at all.
    failing(&with("three\n", "boot", json!("echo this one gives up; exit 1")), &["--timeout", "4s"]);
    assert_ne!(host.state("web"), "active");
    host.ctl_ok(&["rollback", "web", "--to", "1"]);
    host.ok(&["systemctl", "start", "systemd-nspawn@web"]);
    seen(true);
    host.assert_agreed("web");

    // After the same failure, an update that also gives something is rolled back.
    let mut other = with_option("four\n", "bindMounts", json!(["/srv/b:/srv/seen"]));
    other["boot"] = json!("exit 1");
    web(host, &other);
    let output = host.ctl(&["update", "web", "--allow-host-changes", "--timeout", "4s"]);
    assert!(output.code() == 1 && output.stderr.contains("was rolled back"), "{output}");
    seen(true);
    host.assert_agreed("web");
}

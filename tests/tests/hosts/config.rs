//! Configuration files with a real systemd and a real Nix: `create`, `update` and `plan` with `--config`, the nixpkgs and
//! the system they are built with, and the messages if one of them is invalid. tests/nix/stand-in replaces nixpkgs.

use nixos_nspawn_tests::host::{Host, NIXPKGS, bins};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

on_both_hosts!(configuration_files);

const FILE: &str = "/root/web/configuration.nix";

/// Writes the configuration file of `web`, which imports another by a relative path.
fn configuration(host: &Host, page: &str, more: &str) {
    let text = format!(
        "{{ lib, ... }}:\n{{\n  imports = [ ./more.nix ];\n  system.stateVersion = \"26.05\";\n  standIn.page = \"{page}\\n\";\n  {more}\n}}\n"
    );
    host.write(FILE, text, 0o644);
}

fn configuration_files(host: &Host) {
    host.install(bins());
    host.install_nix();
    host.install_nixpkgs();
    host.write("/root/web/more.nix", "{ nixosContainer.bindMounts = [ \"/srv/data:/data\" ]; }\n", 0o644);
    host.write("/srv/data/file", "from the host\n", 0o644);
    configuration(host, "one", "");

    paths_that_are_no_configuration(host);
    errors_of_nix(host);
    created_and_updated(host);
    other_nixpkgs(host);
}

/// Runs a command that must fail with exactly this text on standard error, and change nothing.
fn refused(host: &Host, code: i32, command: &[&str], message: &str) {
    let before = host.traces();
    let output = host.ctl(command);
    assert_eq!((output.stderr.as_str(), output.code()), (message, code), "{output}");
    host.assert_no_traces_since(&before);
}

/// Errors that are found before or by Nix and reported in one line.
fn paths_that_are_no_configuration(host: &Host) {
    let say = |message: &str| format!("nixos-nspawn: {message}\n");
    let nothing = "nothing was changed";
    let missing = format!("/root/missing.nix: there is no such configuration file, {nothing}");
    refused(host, 10, &["create", "web", "--config", "/root/missing.nix"], &say(&missing));
    let directory = format!(
        "/root/web: is a directory without default.nix, {nothing}; use --config /root/web/configuration.nix"
    );
    refused(host, 10, &["create", "web", "--config", "/root/web"], &say(&directory));
    let no_nixpkgs = format!(
        "container 'web' was not created: there is no <nixpkgs> to build configuration files with, \
         {nothing}; pass one with --nixpkgs, for example --nixpkgs github:NixOS/nixpkgs/nixos-26.05, or set Nixpkgs= in \
         nixos-nspawn.conf(5)"
    );
    refused(host, 10, &["create", "web", "--config", FILE], &say(&no_nixpkgs));
    let wrong = format!("/root/web: is not a nixpkgs, nixos/lib/eval-config.nix is missing, {nothing}");
    refused(host, 10, &["create", "web", "--config", FILE, "--nixpkgs", "/root/web"], &say(&wrong));
    let nameless = "error: the following required arguments were not provided:\n  <NAME>\n\n\
        Usage: nixos-nspawn create [OPTIONS] --flake <REF> <NAME> [-- <NIX-ARGS>...]\n       \
        nixos-nspawn create [OPTIONS] --config <FILE> <NAME> [-- <NIX-ARGS>...]\n       \
        nixos-nspawn create [OPTIONS] --profile <PATH> <NAME>\n\nFor more information, try '--help'.\n";
    refused(host, 2, &["create", "--config", FILE], nameless);

    // Paths that are not flakes.
    let without = format!(
        "/root/web: is a directory without flake.nix, {nothing}; \
         use --config /root/web/configuration.nix"
    );
    refused(host, 10, &["create", "web", "--flake", "/root/web"], &say(&without));
    let none = format!("/root/none: there is no such flake, {nothing}");
    refused(host, 10, &["create", "web", "--flake", "/root/none#web"], &say(&none));
    host.write("/root/empty/flake.nix", "{ outputs = _: { }; }\n", 0o644);
    let output = host.ctl(&["create", "web", "--flake", "/root/empty"]);
    let looked_for = say(
        "container 'web' was not created: /root/empty: has neither nixosContainers nor nixosConfigurations, nothing was \
         changed; 'nix flake show' lists what it has",
    );
    assert!(output.stderr.ends_with(&looked_for), "{output}");
    assert!(output.stderr.contains("does not provide attribute"), "{output}");
}

/// Errors in Nix's own words: printed once, with the trace on request.
fn errors_of_nix(host: &Host) {
    let create = ["create", "web", "--config", FILE, "--nixpkgs", NIXPKGS];
    let left = |why: &str| {
        format!(
            "nixos-nspawn: container 'web' was not created, everything was cleaned up: nix build: exit status 1: the \
             configuration does not evaluate ({why}); -v shows Nix's trace\n"
        )
    };
    for (more, message) in [
        (
            "nixosContainer.bindMountss = [ ];",
            "The option `nixosContainer.bindMountss' does not exist. Definition values:\n       - In `/root/web/configuration.nix': []\n",
        ),
        (
            "nixosContainer.ephemeral = \"yes\";",
            "A definition for option `nixosContainer.ephemeral' is not of type `boolean'. Definition values:\n       - In `/root/web/configuration.nix': \"yes\"\n",
        ),
    ] {
        configuration(host, "one", more);
        let before = host.traces();
        let output = host.ctl(&create);
        assert_eq!(output.code(), 11, "{output}");
        let first = message.lines().next().expect("a line");
        let left = left(first.trim_end_matches(" Definition values:"));
        assert!(output.stderr.ends_with(&format!("error: {message}{left}")), "{output}");
        assert_eq!(output.stderr.matches(first).count(), 1, "{output}");
        assert!(output.stderr.contains("use '--show-trace' to show"), "{output}");
        host.assert_no_traces_since(&before);
        let verbose = host.ctl(&[&["--verbose"], &create[..]].concat());
        assert!(verbose.stderr.contains("--show-trace"), "{verbose}");
        assert!(!verbose.stderr.contains("use '--show-trace' to show"), "{verbose}");
        assert_eq!(verbose.stderr.matches(first).count(), 1, "{verbose}");
    }
    configuration(host, "one", "");
    // This machine cannot build for that system; the error shows that the option reached Nix.
    let other = host.ctl(&[&create[..], &["--system", "aarch64-linux"]].concat());
    assert_eq!(other.code(), 11, "{other}");
    let why = "nothing here builds for aarch64-linux; check --system, or see builders in nix.conf(5)\n";
    assert!(other.stderr.ends_with(why), "{other}");
}

fn created_and_updated(host: &Host) {
    let page = || host.system_page("web");
    // The record does not depend on the current directory.
    host.sh("cd /root/web && nixos-nspawn create web --config ./configuration.nix --nixpkgs ../nixpkgs 2> /dev/null");
    let source = json!({"config": FILE, "nixpkgs": NIXPKGS, "system": "x86_64-linux"});
    assert_eq!(host.intent("web")["source"], source);
    host.assert_agreed("web");
    assert_eq!(host.inside("web", &["cat", "/data/file"]), "from the host\n");
    let shown = host.ctl_ok(&["show", "web"]).stdout;
    assert!(shown.contains(&format!("Source: config {FILE}\n             for x86_64-linux\n")), "{shown}");
    assert!(shown.contains(&format!("             nixpkgs {NIXPKGS}\n")), "{shown}");

    let unchanged = |code: i32, arguments: &[&str]| {
        let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
        let output = host.ctl(arguments);
        assert_eq!(output.code(), code, "{output}");
        assert_eq!((host.recorded("web"), host.nspawn("web")), (before, nspawn), "{output}");
        output
    };
    let same = unchanged(0, &["update", "web"]);
    assert_eq!(same.stdout, "container 'web': is up to date\n");
    // From the recorded file, with the default strategy of new containers.
    let nspawn = host.nspawn("web");
    configuration(host, "two", "");
    let plan = unchanged(4, &["plan", "web", "--exit-code"]);
    assert!(plan.stdout.ends_with("container 'web': would reload it: only the system differs\n"), "{plan}");
    let updated = host.ctl_ok(&["update", "web"]);
    assert_eq!(updated.stdout, "container 'web': generation 1 -> 2, reloaded: only the system differs\n");
    assert_eq!((page().as_str(), host.nspawn("web")), ("two\n", nspawn));

    // A broken or missing file changes nothing.
    configuration(host, "three", "standIn.switch = throw \"this is not written yet\";");
    let output = unchanged(11, &["update", "web"]);
    let left = "nixos-nspawn: container 'web' was not updated, nothing was changed: nix build: exit status 1: the \
        configuration does not evaluate (this is not written yet); -v shows Nix's trace\n";
    assert!(output.stderr.ends_with(&format!("error: this is not written yet\n{left}")), "{output}");
    host.ok(&["mv", "/root/web", "/root/moved"]);
    let output = unchanged(10, &["update", "web"]);
    let gone = format!(
        "nixos-nspawn: container 'web' was not updated: {FILE}: there is no such configuration file, nothing was changed\n"
    );
    assert_eq!(output.stderr, gone);

    // Another file replaces the recorded one, and is built with the same nixpkgs.
    host.sh(
        "cd /root/moved && sed -i '/standIn.switch/d' configuration.nix && mv configuration.nix default.nix",
    );
    let updated = host.ctl_ok(&["update", "web", "--config", "/root/moved"]);
    assert_eq!(updated.stdout, "container 'web': generation 2 -> 3, reloaded: only the system differs\n");
    assert_eq!(host.intent("web")["source"]["config"], "/root/moved");
    assert_eq!(host.intent("web")["source"]["nixpkgs"], NIXPKGS);
    host.ctl_ok(&["rollback", "web", "--to", "1"]);
    host.assert_agreed("web");
    assert_eq!(page(), "one\n");
    host.ctl_ok(&["update", "web"]);
    host.assert_agreed("web");
    assert_eq!(page(), "three\n");
}

/// References, the administrator's default and Nix's own search path.
fn other_nixpkgs(host: &Host) {
    // Only the source changes, and it is recorded with the revision.
    let reference = format!("path:{NIXPKGS}");
    let generation = host.generation("web");
    host.ctl_ok(&["update", "web", "--nixpkgs", &reference]);
    let source = host.intent("web")["source"].clone();
    assert_eq!(source["nixpkgs"], reference, "{source}");
    let locked = source["locked"].as_str().unwrap_or_default();
    assert!(locked.starts_with(&reference) && locked.contains("narHash"), "{source}");
    assert_eq!(host.ctl_ok(&["update", "web"]).stdout, "container 'web': is up to date\n");
    assert_eq!(host.generation("web"), generation);
    let missing = host.ctl(&["update", "web", "--nixpkgs", "path:/root/none"]);
    assert_eq!(missing.code(), 11, "{missing}");
    assert!(missing.stderr.contains("path:/root/none: nixpkgs could not be fetched: "), "{missing}");

    // A file whose name is not a valid Nix expression, and which uses <nixpkgs>.
    let odd = "/root/odd \"${builtins.abort 1}\".nix";
    host.write(
        odd,
        "{ standIn.page = \"${toString <nixpkgs>}\\n\"; system.stateVersion = \"26.05\"; }\n",
        0o644,
    );
    // Whoever can write the defaults decides what runs as root.
    const CONF: &str = "/etc/nixos-nspawn.conf";
    host.write(CONF, format!("[Nix]\nNixpkgs={NIXPKGS}\n"), 0o666);
    let refused = |reason: &str| {
        let output = host.ctl(&["create", "odd", "--config", odd]);
        let message = format!("nixos-nspawn: {CONF}: {reason}\n");
        assert_eq!((output.stderr.as_str(), output.code()), (message.as_str(), 10), "{output}");
    };
    refused(&format!(
        "is writable by others (mode 0666), nothing was changed; check it, then run 'chmod go-w {CONF}'"
    ));
    host.ok(&["chmod", "644", CONF]);
    host.ok(&["chown", "nobody", CONF]);
    refused(&format!(
        "belongs to user 65534, not to root, nothing was changed; check it, then run 'chown root {CONF}'"
    ));
    host.ok(&["rm", CONF]);
    host.ok(&["mkfifo", CONF]);
    refused("is not a regular file, nothing was changed; remove it");
    host.ok(&["rm", CONF]);
    host.write(CONF, format!("[Nix]\nNixpkgs={NIXPKGS}\n"), 0o644);
    host.ctl_ok(&["create", "odd", "--config", odd]);
    host.ok(&["rm", CONF]);
    assert_eq!(host.intent("odd")["source"]["nixpkgs"], NIXPKGS);
    assert_eq!(host.intent("odd")["source"]["config"], odd);
    let page = host.system_page("odd");
    assert_eq!(page, format!("{NIXPKGS}\n"));
    assert_eq!(host.ctl_ok(&["update", "odd"]).stdout, "container 'odd': is up to date\n");

    let create = ["create", "search", "--config", odd, "--no-start"];
    let words = ["--", "-I", &format!("nixpkgs={NIXPKGS}")];
    host.ctl_ok(&[&create[..], &words].concat());
    let source = host.intent("search")["source"].clone();
    assert_eq!(source["nixArgs"], json!(["-I", format!("nixpkgs={NIXPKGS}")]), "{source}");
    assert_eq!(source.get("nixpkgs"), None, "{source}");
    let variable = format!("NIX_PATH=nixpkgs={NIXPKGS}");
    let planned = host.ok(&["env", &variable, "nixos-nspawn", "create", "env", "--config", odd, "--dry-run"]);
    assert!(planned.contains("would start container 'env'"), "{planned}");

    // Only configuration files have a nixpkgs of their own.
    let built = host.ok(&["readlink", "-f", "/nix/var/nix/profiles/per-nspawn/odd/system"]);
    host.ctl_ok(&["create", "built", "--profile", built.trim(), "--no-start"]);
    let output = host.ctl(&["update", "built", "--nixpkgs", NIXPKGS]);
    let message = "nixos-nspawn: container 'built' was not updated, nothing was changed: --nixpkgs applies to configuration files, and this container is not built from one\n";
    assert_eq!((output.stderr.as_str(), output.code()), (message, 2), "{output}");
}

//! The complete output of commands about updates and generations, including JSON, on a real systemd, compared with reviewed
//! files (tests/golden/texts). What differs from run to run is masked, and so are Nix's messages.

use nixos_nspawn_tests::host::{Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::transcript::Transcript;
use serde_json::{Value, json};

on_both_hosts!(texts);

/// Returns the test flake's container with options.
fn with(page: &str, options: &Value) -> Value {
    let mut settings = dynamic(page);
    for (option, value) in options.as_object().expect("options") {
        settings["container"][option] = value.clone();
    }
    settings
}

fn texts(host: &Host) {
    host.install(bins());
    updates(host);
    generations(host);
    several(host);
    scripts(host);
    imports(host);
    completed_attributes(host);
}

/// What a shell is offered behind the `#` of a flake, which Nix knows.
fn completed_attributes(host: &Host) {
    host.write("/root/small/flake.nix", "{ outputs = _: { nixosContainers = { db = { }; web = throw \"unused\"; x86_64-linux.web-2 = { }; }; }; }\n", 0o644);
    let ask = "_CLAP_COMPLETE_INDEX=4 _CLAP_IFS=' ' NIXOS_NSPAWN_COMPLETE=bash nixos-nspawn -- nixos-nspawn create x --flake";
    assert_eq!(host.sh(&format!("{ask} '/root/small#'")), "/root/small#db /root/small#web /root/small#web-2");
    assert_eq!(host.sh(&format!("{ask} 'path:/root/small#d'")), "path:/root/small#db");
    assert_eq!(host.sh(&format!("{ask} '/root/none#' 2>&1")), "");
}

fn imports(host: &Host) {
    let mut said = Transcript::of(host);
    let system = host.built_system("one\n");
    let lines = "PRIVATE_NETWORK=1\nHOST_ADDRESS=10.233.1.1\nLOCAL_ADDRESS=10.233.1.2\nHOST_BRIDGE=\nHOST_PORT=tcp:8099:80\nAUTO_START=0\n";
    let flags = "EXTRA_NSPAWN_FLAGS=\" --bind-ro=/srv/seen:/pages --console=pipe\"\n";
    host.nixos_container("moved", &system, &format!("{lines}{flags}"));
    host.nixos_container("odd", &system, "AUTO_START=1\nHOST_ADDRESS=`hostname -i`\n");
    for command in [
        "import nixos-container moved --dry-run",
        "import nixos-container moved --dry-run --json",
        "import nixos-container --all",
        "import --undo moved --dry-run",
        "import --undo moved",
        "import --undo moved --json",
        "import nixos-container moved --json",
    ] {
        said.run(command);
    }
    host.ctl_ok(&["remove", "moved", "--delete-state"]);
    said.compare("import");
}

fn updates(host: &Host) {
    let mut said = Transcript::of(host);
    let web = |settings: Value| host.own(&json!({ "web": settings }));
    web(dynamic("one\n"));
    said.run("create web --flake /root/flake --dry-run");
    said.run("create web --flake /root/flake");
    said.note("Nothing has changed");
    for command in ["plan web --exit-code", "update web --dry-run --exit-code", "update web"] {
        said.run(command);
    }
    said.note("It reaches further into the host");
    web(with("two\n", &json!({"bindMounts": ["/srv/more:/srv/seen"], "timeoutStartSec": "2min"})));
    for command in [
        "plan web",
        "update web --dry-run --exit-code",
        "update web",
        "update web --allow-host-changes",
        "status web",
        "status web --json",
    ] {
        said.run(command);
    }
    said.note("Only the system differs");
    web(with("three\n", &json!({"bindMounts": ["/srv/more:/srv/seen"], "timeoutStartSec": "2min"})));
    said.run("plan web");
    said.run("update web --check false --timeout 2s");
    said.run("status web");
    said.run("update web --strategy none");
    said.run("status web");
    said.run("status web --json");
    said.run("update web");
    said.note("Bad words");
    host.write("/root/small/flake.nix", "{ outputs = _: { nixosContainers.db = { }; }; }\n", 0o644);
    for command in [
        "update",
        "update nobody",
        "update web --all",
        "update web --flake /root/none",
        "update web --flake /root/small#nobody",
        "update web db --flake /root/flake",
        "update web --timeout soon",
        "plan nobody",
        "status nobody",
    ] {
        said.run(command);
    }
    said.compare("update");
}

fn generations(host: &Host) {
    let mut said = Transcript::of(host);
    for command in [
        "list-generations web",
        "list-generations web --json",
        "diff web",
        "diff web 1 3",
        "diff web 3 3",
        "diff web 9",
        "rollback web --dry-run",
        "rollback web",
        "rollback web --to 1",
        "rollback web --to 1",
        "rollback web --to 9",
        "rollback web",
        "rollback nobody",
        "rollback web --to 2 --allow-host-changes=0123456789abcdef",
        "rollback web --to 2 --dry-run --allow-host-changes",
        "pin web 3",
        "pin web 3",
        "pin web 9",
        "delete-generations web --dry-run old",
        "delete-generations web 1",
        "delete-generations web 3",
        "delete-generations web 9",
        "delete-generations web often",
        "unpin web 3",
        "unpin web 3",
        "delete-generations web 3",
        "delete-generations web old",
        "delete-generations web +5",
        "delete-generations web 30d",
        "delete-generations nobody old",
        "list-generations web",
        "list-generations nobody",
    ] {
        said.run(command);
    }
    said.compare("generations");
}

fn several(host: &Host) {
    let mut said = Transcript::of(host);
    host.own(&json!({"web": dynamic("four\n"), "db": dynamic("db\n")}));
    host.sh("cp -r /root/flake /root/other");
    said.run("create db --flake /root/flake");
    said.run("create gone --flake /root/other#off --no-start");
    host.ok(&["rm", "-r", "/root/other"]);
    for command in [
        "plan --all",
        "update --all",
        "update web db",
        "list --state inactive",
        "remove web db gone --delete-state",
    ] {
        said.run(command);
    }
    said.run("update --all");
    said.compare("several");
}

/// The JSON output of commands that change something.
fn scripts(host: &Host) {
    let mut said = Transcript::of(host);
    let web = |settings: Value| host.own(&json!({ "web": settings }));
    web(dynamic("one\n"));
    for command in [
        "setup --dry-run --json",
        "setup --json",
        "create web --flake /root/flake --dry-run --json",
        "create web --flake /root/flake --json",
        "plan web --json --exit-code",
    ] {
        said.run(command);
    }
    said.note("It reaches further into the host");
    web(with("two\n", &json!({"bindMounts": ["/srv/more:/srv/seen"], "timeoutStartSec": "2min"})));
    for command in [
        "plan web --json --exit-code",
        "plan web nobody --json",
        "update web --json",
        "update web nobody --allow-host-changes --json",
        "update web --json",
        "update web --dry-run --json",
        "diff web --json",
        "diff web 2 2 --json",
        "rollback web --to 9 --json",
        "rollback web --to 2 --json",
        "rollback web --dry-run --json",
        "rollback web --json",
        "apply web --flake /root/flake --dry-run --json",
        "apply web --flake /root/flake --json",
        "check web --json",
        "hold web why --dry-run --json",
        "hold web why --json",
        "unhold web --json",
        "pin web 2 --dry-run --json",
        "pin web 2 --json",
        "delete-generations web old --dry-run --json",
        "unpin web 2 --json",
        "unpin web 2 --json",
        "delete-generations web old --json",
        "disable web --json",
        "enable web --json",
        "enable web --json",
        "status web nobody",
        "status",
        "activate web --dry-run --json",
        "activate web --json",
        "autostart --json",
        "remove web nobody --dry-run --json",
        "remove web nobody --json",
        "update --all --json",
        "show web --json",
    ] {
        said.run(command);
    }
    said.compare("json");
}

//! The options of a container, as seen from inside and from its host.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::nix::{PROJECT, evaluate};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

on_both_hosts!(bind_mounts, forwarded_port, ephemeral, user_namespacing, credentials, hardening);

fn bind_mounts(host: &Host) {
    host.install(bins());
    host.write("/srv/shared/from-host", "from the host\n", 0o644);
    // The other source does not exist: its last component is created in the existing parent directory.
    host.create("binds");
    assert_eq!(host.inside("binds", &["cat", "/srv/seen/from-host"]), "from the host\n");
    host.inside("binds", &["sh", "-c", "echo from inside > /srv/same/file"]);
    assert_eq!(host.file("/srv/same/file"), "from inside\n");
    // The store is mounted read-only.
    assert!(!host.run_inside("binds", &["touch", "/nix/store/mine"]).success());
    host.ok(&["systemctl", "restart", &unit("binds")]);
    assert_eq!(host.inside("binds", &["cat", "/srv/same/file"]), "from inside\n");
}

fn forwarded_port(host: &Host) {
    host.install(bins());
    host.create("ports");
    host.address("ports");
    // Connected from outside: a neighbour of the host, with its own network.
    host.sh("ip netns add outside
        ip link add out0 type veth peer name eth0 netns outside
        ip addr add 10.250.0.1/24 dev out0
        ip link set out0 up
        ip -n outside addr add 10.250.0.2/24 dev eth0
        ip -n outside link set eth0 up");
    let ask =
        ["ip", "netns", "exec", "outside", "curl", "--silent", "--max-time", "3", "http://10.250.0.1:8080/"];
    let page = || {
        let mut page = String::new();
        host.wait_until("the forwarded port answers", || {
            let output = host.run(&ask);
            page = output.stdout;
            output.status.success()
        });
        page
    };
    assert_eq!(page(), "Hello from ports.\n");
    host.ok(&["systemctl", "restart", &unit("ports")]);
    assert_eq!(page(), "Hello from ports.\n");
    host.ok(&["systemctl", "stop", &unit("ports")]);
    assert!(!host.run(&ask).success());

    // The same port a second time is refused by name.
    let own = r#"{"rival": {"container": {"forwardPorts": [{"hostPort": 8080, "containerPort": 81, "protocol": "tcp"}]}}}"#;
    host.own_text(own);
    let before = host.traces();
    let refused = host.ctl(&["create", "rival", "--flake", FLAKE]);
    assert!(
        !refused.success() && refused.stderr.contains("8080") && refused.stderr.contains("ports"),
        "{refused}"
    );
    host.assert_no_traces_since(&before);
}

fn ephemeral(host: &Host) {
    host.install(bins());
    host.create("ephemeral");
    host.inside("ephemeral", &["touch", "/var/mark"]);
    host.ok(&["systemctl", "restart", &unit("ephemeral")]);
    assert!(
        !host.run_inside("ephemeral", &["test", "-e", "/var/mark"]).success(),
        "the state was to be forgotten"
    );
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.page_of("ephemeral"), "Hello from ephemeral.\n");
    host.ctl_ok(&["remove", "ephemeral"]);
    assert!(!host.sh("ls -A /var/lib/machines").contains(".#machine."), "no snapshot is left");
}

fn user_namespacing(host: &Host) {
    host.install(bins());
    host.write("/srv/shared/from-host", "from the host\n", 0o644);
    host.create("userns");
    host.create("web");
    assert!(host.inside("web", &["cat", "/proc/self/uid_map"]).contains("4294967295"));
    let map = host.inside("userns", &["cat", "/proc/self/uid_map"]);
    let words: Vec<_> = map.split_whitespace().collect();
    assert!(words[0] == "0" && words[1] != "0" && words[2] == "65536", "{map}");
    // Root inside reads and writes the bind mount and its own root, and files belong to root on both sides.
    assert_eq!(host.inside("userns", &["cat", "/srv/seen/from-host"]), "from the host\n");
    host.inside("userns", &["sh", "-c", "echo mine > /srv/seen/from-inside && echo mine > /var/mine"]);
    assert_eq!(host.sh("stat -c %u /srv/shared/from-inside"), "0\n");
    assert_eq!(host.inside("userns", &["stat", "-c", "%u", "/var/mine"]), "0\n");
    // The store belongs to root inside: sudo loads its plugins from there, and only if root owns them.
    let plugin = host.inside("userns", &["stat", "-L", "-c", "%u:%g %a", "/run/current-system/init"]);
    assert_eq!(plugin, "0:0 555\n");
    assert_eq!(host.inside("userns", &["systemctl", "--failed", "--no-legend"]), "");
    assert_eq!(host.page_of("userns"), "Hello from userns.\n");

    assert_eq!(host.reboot(), "running");
    assert_eq!(host.inside("userns", &["cat", "/var/mine"]), "mine\n");
    assert_eq!(host.inside("userns", &["stat", "-c", "%u", "/var/mine"]), "0\n");
}

fn credentials(host: &Host) {
    host.install(bins());
    // Without its source the container cannot start, and leaves nothing behind.
    let before = host.traces();
    let failed = host.ctl(&["create", "secrets", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("/etc/secrets/token"), "{failed}");
    host.assert_no_traces_since(&before);

    host.write("/etc/secrets/token", "s3cret", 0o600);
    host.create("secrets");
    assert_eq!(host.inside("secrets", &["cat", "/run/host/credentials/token"]), "s3cret");
    // As seen by a service inside.
    let service = host.ok(&[
        "systemd-run",
        "--machine=secrets",
        "--wait",
        "--pipe",
        "--quiet",
        "--property=LoadCredential=token",
        "/bin/sh",
        "-c",
        "cat $CREDENTIALS_DIRECTORY/token",
    ]);
    assert_eq!(service, "s3cret");
    // The text itself is only in the container.
    assert!(!host.sh("systemctl cat systemd-nspawn@secrets.service").contains("s3cret"));
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.inside("secrets", &["cat", "/run/host/credentials/token"]), "s3cret");
}

/// What Nix makes of `hardening = "strict"`, as the kernel sees it.
fn hardening(host: &Host) {
    host.install(bins());
    let settings = r#"settings = { hardening = "strict"; bindMounts = [ "/srv/shared:/srv/seen" ]; };"#;
    let made = evaluate(&[format!("(import {PROJECT}/tests/nix/ways.nix {{ {settings} }}).mkContainer")]);
    let mut container = made.into_iter().next().expect("one").expect("evaluates");
    container.as_object_mut().expect("an object").remove("version");
    host.own_text(&json!({"strict": {"container": container}}).to_string());
    host.write("/srv/shared/from-host", "from the host\n", 0o644);
    host.create("strict");

    let status = host.inside("strict", &["cat", "/proc/1/status"]);
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:\t")));
        line.unwrap_or_else(|| panic!("no {name}: {status}"))
    };
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1", "2"));
    let bounding = u64::from_str_radix(field("CapBnd"), 16).expect("a mask");
    // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_SYS_RESOURCE and CAP_MKNOD are gone, CAP_SYS_ADMIN and CAP_NET_ADMIN are not.
    for (bit, there) in [(2, false), (19, false), (24, false), (27, false), (21, true), (12, true)] {
        assert_eq!(bounding >> bit & 1 == 1, there, "capability {bit} in {bounding:x}");
    }
    let map = host.inside("strict", &["cat", "/proc/1/uid_map"]);
    assert!(map.split_whitespace().nth(1).is_some_and(|first| first != "0"), "{map}");

    let limits = host.ok(&["systemctl", "show", &unit("strict"), "--property=MemoryMax,TasksMax"]);
    let limit = |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
    assert_eq!(limit("TasksMax="), "4096");
    let total = host.sh("awk '/^MemTotal:/ { print $2 * 1024 }' /proc/meminfo");
    let most = limit("MemoryMax=").parse::<u64>().expect("bytes") * 100
        / total.trim().parse::<u64>().expect("bytes");
    assert!((48..=50).contains(&most), "{limits} {total}");

    assert_eq!(host.inside("strict", &["cat", "/srv/seen/from-host"]), "from the host\n");
    let write = host.run_inside("strict", &["touch", "/srv/seen/x"]);
    assert!(!write.success() && write.stderr.contains("Read-only file system"), "{write}");
    assert_eq!(host.inside("strict", &["systemctl", "--failed", "--no-legend"]), "");
    assert_eq!(host.page_of("strict"), "Hello from strict.\n");
    let audit: serde_json::Value =
        serde_json::from_str(&host.ctl_ok(&["audit", "strict", "--json"]).stdout).expect("JSON");
    assert_eq!((audit["predicate"].as_str(), audit["rows"][0]["id"].as_str()), (Some("OK"), Some("network")));
}

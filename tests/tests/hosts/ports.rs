//! Forwarded ports with real packets: from outside, from the host itself, over IPv6, on one address, on the loopback
//! address, and with containers that a connection starts. There are few boots, with many checks in each.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(forwards, starts_on_connect, where_it_can_be_reached);

/// Makes a neighbour of the host with its own network, 10.250.0.2 and fd00:9::2.
fn outside(host: &Host) {
    host.sh("ip netns add outside
        ip link add out0 type veth peer name eth0 netns outside
        ip addr add 10.250.0.1/24 dev out0
        ip addr add fd00:9::1/64 dev out0 nodad
        ip link set out0 up
        ip -n outside addr add 10.250.0.2/24 dev eth0
        ip -n outside addr add fd00:9::2/64 dev eth0 nodad
        ip -n outside link set eth0 up");
}

const FROM_OUTSIDE: [&str; 4] = ["ip", "netns", "exec", "outside"];

/// Tries once to fetch a page.
fn ask(host: &Host, from: &[&str], address: &str) -> Option<String> {
    let url = format!("http://{address}/");
    let curl = ["curl", "--silent", "--globoff", "--max-time", "40", &url];
    let output = host.run(&[from, &curl].concat());
    output.success().then_some(output.stdout)
}

/// Fetches a page and retries, because nspawn sets up its forwards only when it sees the address, after the start.
fn page(host: &Host, from: &[&str], address: &str) -> String {
    let mut page = None;
    host.wait_until(&format!("{address} answers"), || {
        let url = format!("http://{address}/");
        let curl = ["curl", "--silent", "--globoff", "--max-time", "3", &url];
        let output = host.run(&[from, &curl].concat());
        page = output.success().then_some(output.stdout);
        page.is_some()
    });
    page.unwrap_or_default()
}

const UDP_ECHO: &str = "use IO::Socket::INET;
    my $socket = IO::Socket::INET->new(LocalPort => 53, Proto => 'udp') or die $!;
    while ($socket->recv(my $text, 1024)) { $socket->send($text) }";

const UDP_ASK: &str = "use IO::Socket::INET; alarm 2;
    my $socket = IO::Socket::INET->new(PeerAddr => '10.250.0.1', PeerPort => 5353, Proto => 'udp') or die $!;
    $socket->send(qq(ping\n)); $socket->recv(my $text, 1024); print $text";

fn proxies(host: &Host) -> String {
    host.sh("systemctl list-units --all --plain --no-legend 'nixos-nspawn-proxy@*'")
}

fn forwards(host: &Host) {
    host.install(bins());
    let front = |sockets: &str| {
        host.own_text(
            &format!(
                r#"{{"front": {{"container": {{"forwardPorts": ["8080:80", "udp:5353:53", {sockets}], "activation": {{}}}}}},
                    "rival": {{"container": {{"forwardPorts": ["0.0.0.0:8090:80"]}}}}}}"#
            ),
        );
    };
    front(
        r#""127.0.0.1:8080:80", "[::1]:8080:80", {"hostAddress": "10.250.0.1", "hostPort": 8081, "containerPort": 80},
           "127.0.0.1:8082:81""#,
    );
    let created = host.ctl_ok(&["create", "front", "--flake", FLAKE]);
    assert!(created.stdout.contains("can take host port tcp/127.0.0.1:8080"), "{created}");
    assert!(!created.text().contains("not open"), "{created}");

    // On both loopback addresses, at once: a connection waits until the container has an address.
    let hello = Some("Hello from front.\n".to_owned());
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), hello, "{}", host.journal(60));
    assert_eq!(ask(host, &[], "[::1]:8080"), hello, "{}", host.journal(60));
    // The proxy has no privileges that it does not need.
    let main = "systemctl show --value -p MainPID 'nixos-nspawn-proxy@front-tcp-127.0.0.1-8080.service'";
    let status = host.sh(&format!("cat /proc/$({main})/status"));
    assert!(!status.contains("Uid:\t0") && status.contains("CapEff:\t0000000000000000"), "{status}");

    // A service that listens only on the container's loopback address is not reached.
    host.inside("front", &["sh", "-c", "httpd -p 127.0.0.1:81 -h /run/www"]);
    assert_eq!(
        host.inside("front", &["wget", "-q", "-O", "-", "http://127.0.0.1:81/"]),
        "Hello from front.\n"
    );
    assert_eq!(ask(host, &[], "127.0.0.1:8082"), None);
    let journal = host.sh("journalctl --sync; journalctl --boot --no-pager -u 'nixos-nspawn-proxy@*'");
    assert!(journal.contains("port 81 of container 'front': nothing listens on it"), "{journal}");

    // From outside, through nspawn, and on an address that was added after the socket; and from the host to its own address.
    outside(host);
    assert_eq!(page(host, &FROM_OUTSIDE, "10.250.0.1:8080"), "Hello from front.\n");
    assert_eq!(page(host, &[], "10.250.0.1:8080"), "Hello from front.\n");
    assert_eq!(ask(host, &FROM_OUTSIDE, "10.250.0.1:8081"), hello);
    // From another container, and from itself.
    host.create("web");
    for name in ["web", "front"] {
        host.wait_until(&format!("{name} reaches the port"), || {
            let output =
                host.run_inside(name, &["wget", "-q", "-T", "3", "-O", "-", "http://10.250.0.1:8080/"]);
            output.stdout == "Hello from front.\n"
        });
    }
    host.ctl_ok(&["remove", "web"]);
    host.sh("ip -n outside addr add 10.251.0.2/24 dev eth0; ip addr add 10.251.0.1/24 dev out0");
    assert_eq!(ask(host, &FROM_OUTSIDE, "10.251.0.1:8081"), None, "the port is open on one address only");

    // UDP: the service echoes.
    let leader = host.ok(&["machinectl", "show", "front", "-P", "Leader"]);
    let inside = ["systemd-run", "--quiet", "nsenter", "-n", "-t", leader.trim(), "perl", "-e"];
    host.ok(&[&inside[..], &[UDP_ECHO]].concat());
    host.wait_until("the UDP port answers", || {
        host.run(&[&FROM_OUTSIDE[..], &["perl", "-e", UDP_ASK]].concat()).stdout == "ping\n"
    });

    // IPv6 through nspawn, as soon as the container has an address that others can reach.
    host.sh("ip addr add fd00:5::1/64 dev ve-front nodad; sysctl -qw net.ipv6.conf.all.forwarding=1");
    host.inside("front", &["ip", "addr", "add", "fd00:5::2/64", "dev", "host0"]);
    host.inside("front", &["ip", "-6", "route", "replace", "default", "via", "fd00:5::1"]);
    assert_eq!(page(host, &FROM_OUTSIDE, "[fd00:9::1]:8080"), "Hello from front.\n");

    // Sockets are closed with the container, however it ends, and opened again with it.
    for end in [["systemctl", "stop", "systemd-nspawn@front"], ["machinectl", "poweroff", "front"]] {
        host.ok(&end);
        host.wait_state("front", "inactive");
        host.wait_until("the sockets are closed", || !proxies(host).contains(" active "));
        assert_eq!(ask(host, &[], "127.0.0.1:8080"), None);
        host.ok(&["systemctl", "start", &unit("front")]);
        assert_eq!(ask(host, &[], "127.0.0.1:8080"), hello);
    }

    // A container that reboots itself gets its sockets back.
    host.ok(&["machinectl", "reboot", "front"]);
    host.wait_until("it started anew", || host.property("front", "NRestarts") == "1");
    host.wait_state("front", "active");
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), hello, "{}", host.journal(60));

    // Another socket needs no restart. A port used by another program is reported and blocks nothing else.
    host.ok(&["systemd-run", "--quiet", "systemd-socket-activate", "-l", "127.0.0.1:7777", "/bin/cat"]);
    host.wait_until("the other program listens", || host.sh("ss -ltn").contains("127.0.0.1:7777"));
    front(r#""127.0.0.1:8090:80", "127.0.0.1:7777:80""#);
    let invocation = host.property("front", "InvocationID");
    let refused = host.ctl(&["update", "front", "--allow-host-changes"]);
    assert!(refused.code() == 10 && refused.stderr.contains("tcp/127.0.0.1:7777 is in use by"), "{refused}");
    let updated = host.ctl_ok(&["update", "front", "--allow-host-changes", "--allow-taken-ports"]);
    assert!(updated.text().contains("the socket of port"), "{updated}");
    assert!(updated.stderr.contains("not all of its ports could be opened"), "{updated}");
    assert_eq!(host.property("front", "InvocationID"), invocation, "it was restarted: {updated}");
    assert_eq!(ask(host, &[], "127.0.0.1:8090"), hello);
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), None);
    assert!(!proxies(host).contains("8080"), "{}", proxies(host));
    let shown = host.ctl_ok(&["show", "front"]);
    assert!(shown.stdout.contains("port tcp/127.0.0.1:7777 is not open"), "{shown}");
    assert!(shown.stdout.contains("/nixos-nspawn-proxy@front-tcp-127.0.0.1-8090.socket"), "{shown}");
    let back = host.ctl_ok(&["rollback", "front", "--allow-host-changes"]);
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), hello, "{back}");

    // The container chooses its address. If the host's route to it leads elsewhere, here to a neighbour, it is ignored:
    // the port would lead there.
    host.sh("systemctl stop nixos-nspawn-proxy@front-tcp-127.0.0.1-8080.service");
    host.inside("front", &["ip", "addr", "flush", "dev", "host0"]);
    host.inside("front", &["ip", "addr", "add", "10.250.0.2/32", "dev", "host0"]);
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), None);
    let journal = host.sh("journalctl --sync; journalctl --boot --no-pager -u 'nixos-nspawn-proxy@*'");
    assert!(journal.contains("host0 has the address 10.250.0.2, but"), "{journal}");
    host.ok(&["systemctl", "restart", &unit("front")]);
    assert_eq!(ask(host, &[], "127.0.0.1:8080"), hello, "{}", host.journal(60));

    // A container whose port overlaps a used one is refused, with the other's name.
    host.ctl_ok(&["update", "front", "--allow-host-changes", "--allow-taken-ports"]);
    let refused = host.ctl(&["create", "rival", "--flake", FLAKE]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("host port tcp/0.0.0.0:8090 is also claimed by 'front'"), "{refused}");

    host.ctl_ok(&["remove", "front"]);
    assert_eq!(proxies(host), "");
    assert_eq!(ask(host, &[], "127.0.0.1:8090"), None);
}

fn starts_on_connect(host: &Host) {
    host.install(bins());
    host.own_text(
        r#"{"lazy": {"container": {"activation": {"autoStart": false}, "forwardPorts": [
            {"hostPort": 9090, "containerPort": 80, "startOnConnect": true},
            {"hostPort": 9091, "containerPort": 80, "hostAddress": "::1", "startOnConnect": true}]}}}"#,
    );
    let created = host.ctl_ok(&["create", "lazy", "--no-start", "--flake", FLAKE]);
    assert!(
        created.stdout.contains("can take host port tcp/9090, and be started by a connection"),
        "{created}"
    );
    assert_eq!(host.state("lazy"), "inactive");

    // The first connection is served as well.
    let hello = Some("Hello from lazy.\n".to_owned());
    assert_eq!(ask(host, &[], "127.0.0.1:9090"), hello, "{}", host.journal(60));
    assert_eq!(host.state("lazy"), "active");
    host.ok(&["systemctl", "stop", &unit("lazy")]);
    assert_eq!(host.state("lazy"), "inactive");
    assert_eq!(ask(host, &[], "[::1]:9091"), hello);

    // All addresses of the host, after a boot that did not start it.
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("lazy"), "inactive");
    outside(host);
    assert_eq!(ask(host, &FROM_OUTSIDE, "10.250.0.1:9090"), hello);
    assert_eq!(ask(host, &FROM_OUTSIDE, "[fd00:9::1]:9090"), hello);

    // If the container cannot start, the connection is closed, and only the next one tries again.
    host.ok(&["systemctl", "stop", &unit("lazy")]);
    host.write("/etc/systemd/nspawn/lazy.nspawn", "[Exec]\nBoot=yes\n", 0o644);
    let starts = || host.unit_journal("lazy").matches("would be used in place of the settings").count();
    for tries in 1..=2 {
        assert_eq!(ask(host, &[], "127.0.0.1:9090"), None);
        host.wait_state("lazy", "failed");
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(starts(), tries, "{}", host.unit_journal("lazy"));
    }
    host.ok(&["rm", "/etc/systemd/nspawn/lazy.nspawn"]);
    assert_eq!(ask(host, &[], "127.0.0.1:9090"), hello);

    // A client keeps connecting while it is removed.
    host.ok(&[
        "systemd-run",
        "--quiet",
        "sh",
        "-c",
        "while :; do curl -s -m 1 http://127.0.0.1:9090/; sleep 0.05; done",
    ]);
    host.ctl_ok(&["remove", "lazy", "--delete-state"]);
    assert_eq!(proxies(host), "");
    assert_eq!(host.state("lazy"), "inactive");
    assert!(!host.exists("/var/lib/machines/lazy"));
}

/// A command that has started a container says where it can be reached, to people on a terminal and to scripts.
fn where_it_can_be_reached(host: &Host) {
    host.install(bins());
    let own = |page: &str, network: &str| {
        let ports = r#""forwardPorts": ["8080:80", "127.0.0.1:8081:80", "udp:53"]"#;
        let web = format!(
            r#"{{"page": "{page}", "container": {{"activation": {{"strategy": "restart"}}, {ports}}}}}"#
        );
        host.own_text(&format!(r#"{{"web": {web}, "shared": {{"container": {{"network": "{network}"}}}}}}"#));
    };
    own("one", "host");
    let json = |words: &[&str]| -> serde_json::Value {
        let output = host.ctl_ok(words);
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output}"))
    };
    let created = json(&["create", "web", "--flake", FLAKE, "--json"]);
    let ports = host.listed("web").expect("a container")["ports"].clone();
    assert_eq!((&ports[1]["hostAddress"], &ports[1]["hostPort"]), (&"127.0.0.1".into(), &8081.into()));
    assert_eq!(
        (&created["addresses"][0], &created["ports"]),
        (&host.address("web").into(), &ports),
        "{created}"
    );

    own("two", "host");
    let updated = json(&["update", "web", "--json"]);
    let address = host.address("web");
    assert_eq!(
        (&updated[0]["addresses"][0], &updated[0]["ports"]),
        (&address.as_str().into(), &ports),
        "{updated}"
    );
    let again = json(&["update", "web", "--json"]);
    assert_eq!(
        (&again[0]["result"], &again[0]["ports"]),
        (&"up_to_date".into(), &serde_json::json!([])),
        "{again}"
    );

    // People see it on a terminal only: a pipe does not wait.
    own("three", "host");
    let terminal = ["systemd-run", "--pty", "--quiet", "--wait", "--collect"];
    let shown = host.ok(&[&terminal[..], &["/usr/local/bin/nixos-nspawn", "update", "web"]].concat());
    let address = host.address("web");
    for line in [format!("address {address}"), "port 127.0.0.1:8081 -> 80".to_owned()] {
        assert!(shown.lines().any(|shown| shown.trim_end().starts_with(&line)), "{line} is not in {shown}");
    }
    own("four", "host");
    assert!(!host.ctl_ok(&["update", "web"]).stdout.contains("address "));

    // A container in the host's network has none, and nothing is waited for.
    let created = json(&["create", "shared", "--flake", FLAKE, "--json"]);
    assert_eq!((&created["addresses"], &created["ports"]), (&serde_json::json!([]), &serde_json::json!([])));
}

//! Networks of containers with real packets: the host's end for names of any length, and every other way to connect a
//! container or to isolate it.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(configured_ends, interfaces, zone);

/// Thirty characters, so nspawn shortens the name of its interface.
const LONG: &str = "a-name-of-thirty-characters-30";

fn configured_ends(host: &Host) {
    host.install(bins());
    outside(host);
    let dhcp = |address: &str| json!({"container": {"hostNetworkConfig": {"address": ["", address]}}});
    let fixed = |host_address: &str| {
        json!({
            "boot": address_inside("host0", "10.43.0.2/24", "Gateway=10.43.0.1\\n"),
            "container": {"hostNetworkConfig": {
                "address": ["", host_address],
                "networkConfig": {"DHCPServer": false},
                "routes": [{"routeConfig": {"Destination": "10.77.0.0/16", "Gateway": "10.43.0.2"}}],
            }},
        })
    };
    flake(host, &[(LONG, dhcp("10.42.42.1/24")), ("fixed", fixed("10.43.0.1/24"))]);
    host.create(LONG);
    let end = host.ctl_ok(&["show", LONG, "--json"]).stdout;
    let end = serde_json::from_str::<Value>(&end).expect("JSON")["host_interface"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert!(end.starts_with("ve-a-name-o") && end.len() == 15, "{end}");

    // Only the configured address, a lease from its range, and a route to the outside.
    let works = |when: &str| {
        let inside = host.address(LONG);
        assert!(inside.starts_with("10.42.42."), "{when}: {inside}");
        assert_eq!(addresses(host, &end), ["10.42.42.1/24"], "{when}");
        assert_eq!(host.page(&format!("http://{inside}/")), format!("Hello from {LONG}.\n"));
        assert_eq!(page_inside(host, LONG, "http://10.250.0.2/"), "outside of 10.250.0.1\n", "{when}");
    };
    works("after create");
    // It is also reached by name (nss-mymachines).
    assert_eq!(host.page(&format!("http://{LONG}/")), format!("Hello from {LONG}.\n"));

    // Both ends by hand, without DHCP.
    host.create("fixed");
    host.wait_until("the fixed addresses are there", || addresses(host, "ve-fixed") == ["10.43.0.1/24"]);
    assert_eq!(host.page("http://10.43.0.2/"), "Hello from fixed.\n");
    assert_eq!(page_inside(host, "fixed", "http://10.250.0.2/"), "outside of 10.250.0.1\n");
    assert!(host.sh("ip route show 10.77.0.0/16").contains("via 10.43.0.2 dev ve-fixed"));

    // A change of the host's end applies to the running container's link without a restart.
    let leader = host.property("fixed", "MainPID");
    flake(host, &[(LONG, dhcp("10.42.42.1/24")), ("fixed", fixed("10.43.0.9/24"))]);
    // networkd, which has its own user, must be able to read the file whatever the caller's umask.
    let update = "umask 077; nixos-nspawn update fixed --allow-host-changes";
    let updated = host.run(&["sh", "-euc", update]);
    assert!(updated.success(), "{updated}");
    assert_eq!(host.sh("stat -c %a /run/systemd/network/50-nixos-nspawn-fixed.network"), "644\n");
    assert!(updated.text().contains("hostNetworkConfig"), "{updated}");
    host.wait_until("the new address is there", || addresses(host, "ve-fixed") == ["10.43.0.9/24"]);
    assert_eq!(host.property("fixed", "MainPID"), leader, "it was restarted");
    assert_eq!(host.page("http://10.43.0.2/"), "Hello from fixed.\n");
    host.ctl_ok(&["rollback", "fixed", "--allow-host-changes"]);
    host.wait_until("the old address is back", || addresses(host, "ve-fixed") == ["10.43.0.1/24"]);

    // networkd can read the file, and a boot starts without it.
    let file = |name: &str| format!("/run/systemd/network/50-nixos-nspawn-{name}.network");
    assert_eq!(host.sh(&format!("stat -c %a:%U {}", file(LONG))), "644:root\n");
    assert_eq!(host.reboot(), "running");
    outside(host);
    works("after a reboot");

    // It stays while the container is stopped. `remove` deletes it, and so does the next command if the intent was deleted.
    host.ok(&["systemctl", "stop", &unit(LONG)]);
    assert!(host.exists(&file(LONG)));
    host.ctl_ok(&["remove", LONG]);
    assert!(!host.exists(&file(LONG)));

    // Without networkd a container still starts; one that needs it logs this.
    host.ok(&["systemctl", "stop", "systemd-networkd.socket", "systemd-networkd.service"]);
    host.ok(&["systemctl", "restart", &unit("fixed")]);
    let journal = host.unit_journal("fixed");
    assert!(
        journal.contains("systemd-networkd is not running") && journal.contains("hostNetworkConfig"),
        "{journal}"
    );
    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert!(created.text().contains("systemd-networkd is off"), "{created}");
    assert!(!host.unit_journal("web").contains("networkd is not running"));
    host.ok(&["systemctl", "stop", &unit("fixed")]);
    host.sh("rm /etc/nixos-nspawn/fixed.json; systemctl daemon-reload");
    host.ctl_ok(&["list"]);
    assert!(!host.exists(&file("fixed")));
}

fn interfaces(host: &Host) {
    host.install(bins());
    let bridged = json!({
        "boot": address_inside("host0", "10.45.0.2/24", ""),
        "container": {"bridge": "br-test", "hostNetworkConfig": {"linkConfig": {"MTUBytes": 1400}}},
    });
    let vlan = |address: &str, more: Value| {
        let mut container = json!({"network": "none", "macvlan": ["lab0:lan"]});
        container.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"boot": address_inside("lan", address, ""), "container": container})
    };
    let containers = [
        ("bridged", bridged),
        ("one", vlan("10.46.0.1/24", json!({"interfaces": ["port0:wire"], "extraVeths": ["one-more:more"]}))),
        ("two", vlan("10.46.0.2/24", json!({}))),
        ("thief", json!({"container": {"interfaces": ["port0"]}})),
        ("hosted", json!({"container": {"network": "host"}})),
        ("alone", json!({"container": {"network": "none"}})),
        ("blue", json!({"container": {"namespacePath": "/run/netns/blue"}})),
    ];
    flake(host, &containers);

    // A missing interface is named, and the failed start leaves nothing behind.
    let before = host.traces();
    for (name, missing) in
        [("bridged", "br-test: the host has no such bridge"), ("two", "lab0: the host has no such interface")]
    {
        let failed = host.ctl(&["create", name, "--flake", FLAKE]);
        assert!(!failed.success() && failed.stderr.contains(missing), "{failed}");
    }
    host.assert_no_traces_since(&before);
    // Not every kernel has dummy interfaces; a veth pair with an unused end works as well.
    host.sh("ip link add lab0 type dummy 2> /dev/null || ip link add lab0 type veth peer name lab1 && ip link set lab1 up
        ip link set lab0 up
        ip link add port0 type veth peer name port1
        ip addr add 10.47.0.1/24 dev port1
        ip link set port1 up
        ip netns add blue
        ip link add br-test type veth peer name br-peer");
    let failed = host.ctl(&["create", "bridged", "--flake", FLAKE]);
    assert!(
        !failed.success() && failed.stderr.contains("br-test: is an interface of the host, but not a bridge"),
        "{failed}"
    );
    host.sh("ip link del br-test; ip link add br-test type bridge; ip addr add 10.45.0.1/24 dev br-test; ip link set br-test up");

    host.create("bridged");
    assert_eq!(host.page("http://10.45.0.2/"), "Hello from bridged.\n");
    let port = || host.sh("ip -o link show master br-test");
    host.wait_until("the settings of the host's end are in force", || port().contains("mtu 1400"));
    assert!(port().contains("vb-bridged") && addresses(host, "vb-bridged").is_empty(), "{}", port());
    assert_eq!(host.page("http://10.45.0.2/"), "Hello from bridged.\n");

    // Two on one parent, beside an interface of the host and a further virtual Ethernet link.
    host.create("one");
    host.create("two");
    assert_eq!(page_inside(host, "two", "http://10.46.0.1/"), "Hello from one.\n");
    assert_eq!(links(&host.inside("one", &["ip", "-o", "link"])), ["lan", "lo", "more", "wire"]);
    assert_eq!(links(&host.inside("two", &["ip", "-o", "link"])), ["lan", "lo"]);
    let outside = links(&host.sh("ip -o link"));
    assert!(
        outside.contains(&"one-more".to_owned()) && !outside.contains(&"port0".to_owned()),
        "{outside:?}"
    );
    host.sh("ip addr add 10.48.0.1/24 dev one-more; ip link set one-more up");
    host.inside(
        "one",
        &[
            "sh",
            "-c",
            "ip addr add 10.48.0.2/24 dev more; ip link set more up; \
        ip addr add 10.47.0.2/24 dev wire; ip link set wire up",
        ],
    );
    assert_eq!(host.page("http://10.48.0.2/"), "Hello from one.\n");
    assert_eq!(host.page("http://10.47.0.2/"), "Hello from one.\n");
    // An interface can be in one container only.
    let refused = host.ctl(&["create", "thief", "--flake", FLAKE]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(refused.stderr.contains("port0") && refused.stderr.contains("'one'"), "{refused}");

    host.create("alone");
    assert_eq!(links(&host.inside("alone", &["ip", "-o", "link"])), ["lo"]);
    host.create("hosted");
    assert_eq!(links(&host.inside("hosted", &["ip", "-o", "link"])), links(&host.sh("ip -o link")));
    assert_eq!(host.page("http://127.0.0.1/"), "Hello from hosted.\n");
    if host.systemd() >= 259 {
        host.create("blue");
        let inode = |text: String| text.trim().to_owned();
        assert_eq!(
            inode(host.inside("blue", &["stat", "-L", "-c", "%i", "/proc/self/ns/net"])),
            inode(host.sh("stat -L -c %i /run/netns/blue"))
        );
    }
    // The moved interface comes back when the container stops.
    host.ok(&["systemctl", "stop", &unit("one")]);
    host.wait_until("the interface is the host's again", || {
        links(&host.sh("ip -o link")).contains(&"port0".to_owned())
    });
}

fn zone(host: &Host) {
    host.install(bins());
    // The zone need not exist: the first container makes it.
    let member = || json!({"boot": RESOLVED, "container": {"zone": "lab", "bindMounts": ["/usr:/host-usr"]}});
    flake(host, &[("first", member()), ("second", member())]);
    host.create("first");
    host.create("second");
    assert!(host.ok(&["ip", "link", "show", "master", "vz-lab"]).contains("vb-second"));
    let address = host.address("first");
    assert_eq!(page_inside(host, "second", &format!("http://{address}/")), "Hello from first.\n");
    // They find each other by name on the bridge (LLMNR). The answer may be an IPv6 address with its interface, which
    // busybox would drop if it resolved the name itself.
    let reach = r#"address=$(resolvectl --no-pager --legend=no query "$0" | sed -n "s/^$0: \([^ ]*\).*/\1/p") &&
        ping -c 1 -w 2 "$address""#;
    let path = "PATH=/usr/bin:/host-usr/bin";
    let libraries = "LD_LIBRARY_PATH=/host-usr/lib/x86_64-linux-gnu";
    for (one, other) in [("second", "first"), ("first", "second")] {
        host.wait_until(&format!("{one} reaches {other} by name"), || {
            host.run_inside(one, &["env", path, libraries, "sh", "-euc", reach, other]).success()
        });
    }
    // The host resolves the name through machined.
    assert_eq!(host.page("http://second/"), "Hello from second.\n");
}

/// A first process that also runs systemd-resolved from the host's /usr, which the stand-in omits.
const RESOLVED: &str = "mkdir -p /run/systemd/system/multi-user.target.wants
    grep -q systemd-resolve /etc/passwd || echo systemd-resolve:x:995:995::/:/bin/false >> /etc/passwd
    grep -q systemd-resolve /etc/group || echo systemd-resolve:x:995: >> /etc/group
    printf '[Unit]\\nAfter=dbus.service systemd-networkd.service\\n[Service]\\nType=notify\\nEnvironment=LD_LIBRARY_PATH=/host-usr/lib/x86_64-linux-gnu\\nExecStart=/host-usr/lib/systemd/systemd-resolved\\n' > /run/systemd/system/names.service
    ln -sf ../names.service /run/systemd/system/multi-user.target.wants/
    mkdir -p /etc/systemd/resolved.conf.d
    printf '[Resolve]\\nLLMNR=yes\\n' > /etc/systemd/resolved.conf.d/llmnr.conf
    echo nameserver 127.0.0.53 > /etc/resolv.conf
    exec /usr/lib/systemd/systemd";

/// A first process that sets a fixed address on an interface inside, and boots.
fn address_inside(interface: &str, address: &str, more: &str) -> String {
    format!(
        "mkdir -p /etc/systemd/network; printf '[Match]\\nName={interface}\\n[Network]\\nAddress={address}\\n{more}' \
         > /etc/systemd/network/10-fixed.network; exec /usr/lib/systemd/systemd"
    )
}

/// Returns containers for the flake, by name.
fn flake(host: &Host, containers: &[(&str, Value)]) {
    let own: Value = containers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    host.own(&own);
}

/// Makes a neighbour of the host with its own network and a route to the host's address only. Its page shows the client's
/// address.
fn outside(host: &Host) {
    let page = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\noutside of %s\\n' \"$REMOTE_ADDR\"\n";
    host.write("/root/outside/cgi-bin/index.cgi", page, 0o755);
    host.sh("ip netns add outside
        ip link add out0 type veth peer name eth0 netns outside
        ip addr add 10.250.0.1/24 dev out0
        ip link set out0 up
        ip -n outside addr add 10.250.0.2/24 dev eth0
        ip -n outside link set eth0 up
        systemd-run --quiet --unit=outside ip netns exec outside busybox httpd -f -p 0.0.0.0:80 -h /root/outside");
}

/// Returns the IPv4 addresses of an interface of the host.
fn addresses(host: &Host, interface: &str) -> Vec<String> {
    let output = host.run(&["ip", "-4", "-o", "addr", "show", "dev", interface]).stdout;
    output.lines().filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned)).collect()
}

/// Returns the names in the output of `ip -o link`, in order.
fn links(output: &str) -> Vec<String> {
    let names =
        output.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next().map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Returns a page as fetched inside a container; retries until there is one.
fn page_inside(host: &Host, name: &str, url: &str) -> String {
    let mut page = String::new();
    host.wait_until(&format!("{url} answers in {name}"), || {
        let output = host.run_inside(name, &["wget", "-q", "-T", "5", "-O", "-", url]);
        page = output.stdout;
        output.status.success()
    });
    page
}

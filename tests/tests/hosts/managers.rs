//! Hosts whose network is configured by NetworkManager or ifupdown: containers change nothing of it.

use nixos_nspawn_tests::host::{Host, Suite, bins, unit};
use nixos_nspawn_tests::network_state::{advertised, assert_untouched, cable, foreign, network_state};
use serde_json::json;

/// The uplink as NetworkManager configures it. Its udev rules leave virtual Ethernet links alone, but these hosts have no
/// udev.
const CONNECTION: &str = "[connection]\nid=ext\ntype=ethernet\ninterface-name=ext0\n[ipv4]\nmethod=manual\n\
    address1=10.250.0.1/24,10.250.0.2\n[ipv6]\nmethod=auto\naddr-gen-mode=eui64\n";
const UNMANAGED: &str =
    "[keyfile]\nunmanaged-devices=interface-name:ve-*;interface-name:vb-*;interface-name:vz-*\n";

/// The uplink as ifupdown configures it.
const INTERFACES: &str = "auto ext0\niface ext0 inet static\n  address 10.250.0.1/24\n  gateway 10.250.0.2\n\
    iface ext0 inet6 auto\n  privext 0\n";

/// Has NetworkManager configure the uplink.
fn by_networkmanager(host: &Host) {
    host.write("/etc/NetworkManager/system-connections/ext.nmconnection", CONNECTION, 0o600);
    host.write("/etc/NetworkManager/conf.d/veth.conf", UNMANAGED, 0o644);
    cable(host);
    host.sh("systemctl start NetworkManager; nmcli device set ext0 managed yes; nmcli --wait 30 connection up ext");
    assert!(host.sh("nmcli -g GENERAL.STATE device show ext0").contains("connected"));
}

/// Has ifupdown configure the uplink.
fn by_ifupdown(host: &Host) {
    host.write("/etc/network/interfaces", INTERFACES, 0o644);
    cable(host);
    host.sh("ifup ext0");
    assert!(host.sh("ifquery --state ext0").contains("ext0"));
}

fn is_left_alone(suite: Suite, configure: fn(&Host)) {
    let host = &Host::boot_with_managers(suite);
    host.install(bins());
    host.sh("systemctl disable --now systemd-networkd.socket systemd-networkd.service
        systemctl disable --now NetworkManager.service networking.service 2> /dev/null || true");
    configure(host);
    host.wait_until("the default route of the router is there", || advertised(host));
    foreign(host);
    host.wait_until("no address is tentative", || !host.sh("ip -6 addr").contains("tentative"));
    let before = network_state(host);

    host.ctl_ok(&["setup", "--networkd"]);
    assert_untouched(host, &before, "setup");
    host.own(
        &json!({"web": {"container": {"forwardPorts": ["8080:80"]}}, "shop": {"container": {"zone": "lab"}}}),
    );
    for name in ["web", "shop"] {
        host.create(name);
        host.address(name);
        assert_untouched(host, &before, &format!("create {name}"));
    }
    let output = host.run_inside("web", &["ping", "-c", "1", "-W", "5", "10.250.0.2"]);
    assert!(output.success(), "{output}");
    host.ok(&["systemctl", "restart", &unit("web"), &unit("shop")]);
    host.address("web");
    assert_untouched(host, &before, "restart");
    for name in ["web", "shop"] {
        host.ctl_ok(&["remove", name]);
    }
    assert_untouched(host, &before, "remove");
    assert!(advertised(host));
}

macro_rules! managers {
    ($($manager:ident: $trixie:ident, $forky:ident);* $(;)?) => { $(
        #[test]
        fn $trixie() {
            is_left_alone(Suite::Trixie, $manager);
        }

        #[test]
        fn $forky() {
            is_left_alone(Suite::Forky, $manager);
        }
    )* };
}

managers! {
    by_networkmanager: networkmanager_trixie, networkmanager_forky;
    by_ifupdown: ifupdown_trixie, ifupdown_forky;
}

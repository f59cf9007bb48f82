//! Several hosts that reach each other by ssh: one from which commands are given, and others with links to it.

use super::{Bins, Host, Suite, command, run};
use std::process::Command;

/// The address of the controller, which all hosts can reach.
pub const CONTROLLER: &str = "10.77.0.1";

/// Hosts with ssh. The controller's root may log in as root on the others.
pub struct Fleet {
    /// Where commands are given.
    pub controller: Host,
    /// The others. Number N, from 1, has the address `10.77.N.2` and the name `hostN` on the controller.
    pub hosts: Vec<Host>,
}

impl Fleet {
    /// Boots the controller and hosts of these suites, and installs the program on all of them.
    pub fn boot(suites: &[Suite], bins: &Bins) -> Self {
        let controller = Host::boot_with_ssh(Suite::Trixie);
        controller.install(bins);
        controller.sh(&format!(
            "ip address add {CONTROLLER}/32 dev lo
            mkdir -p -m 700 /root/.ssh
            ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
            printf 'Host *\\n  StrictHostKeyChecking accept-new\\n' > /root/.ssh/config"
        ));
        let key = controller.file("/root/.ssh/id_ed25519.pub");
        let mut hosts = Vec::new();
        for (at, suite) in suites.iter().enumerate() {
            let host = Host::boot_with_ssh(*suite);
            host.install_programs(bins);
            link(&controller, &host, at + 1);
            host.write("/root/.ssh/authorized_keys", &key, 0o600);
            host.sh("chmod 700 /root/.ssh; ssh-keygen -A >/dev/null; systemctl start ssh");
            hosts.push(host);
        }
        Self { controller, hosts }
    }
}

/// Links the controller with a host.
fn link(controller: &Host, host: &Host, number: usize) {
    let (name, here, there) =
        (format!("fleet{number}"), controller.leader().to_string(), host.leader().to_string());
    let mut ip = Command::new("ip");
    ip.args(["link", "add", "name", &name, "netns", &here, "type", "veth"]);
    ip.args(["peer", "name", "fleet0", "netns", &there]);
    let made = run(&mut ip, None, command::Timeout::after(super::PATIENCE));
    assert!(made.success(), "{made}");
    controller.sh(&format!(
        "ip address add 10.77.{number}.1/24 dev {name}; ip link set {name} up
        echo '10.77.{number}.2 host{number}' >> /etc/hosts"
    ));
    host.sh(&format!(
        "ip address add 10.77.{number}.2/24 dev fleet0; ip link set fleet0 up
        ip route add {CONTROLLER} via 10.77.{number}.1"
    ));
}

//! The host's end of a container's network. networkd receives the generated file as soon as an update has written it,
//! since the container may not be restarted. Failures are reported but not fatal; the next start tries again.

use std::fs;
use std::io::{self, ErrorKind};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use nixos_nspawn_units::copies;
use nixos_nspawn_units::copies::{NetworkText, REFILL};
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::host::Host;

/// The time that networkd may take to reload its files.
const LIMIT: Duration = Duration::from_secs(5);

/// Installs the file that the generator wrote for the container, or removes it if its settings ask for none. If the
/// settings cannot be read, the running container keeps its network.
pub(crate) fn apply(host: &Host, name: &MachineName) {
    let wanted = match generated(host, name) {
        Ok(wanted) => wanted,
        Err(error) => {
            let path = copies::generated(&host.root, &format!("{name}.nspawn"));
            return host.report(Event::NetworkFileFailed { path, error: error.to_string() });
        }
    };
    // `--prepare` installs it when the container starts.
    let shared = wanted.iter().map(|wanted| copies::network_path(&host.root, &wanted.file_name));
    let present = shared.chain([copies::own_network_path(&host.root, name)]).any(|path| path.exists());
    if present || (wanted.is_some() && copies::runs(&host.root, name)) {
        put(host, name, wanted.as_ref());
    }
}

/// Returns what the generator wrote for networkd. Waits while another daemon-reload refills the generator's directory.
fn generated(host: &Host, name: &MachineName) -> io::Result<Option<NetworkText>> {
    let begin = Instant::now();
    let refused = copies::generated(&host.root, &format!("{name}.refused"));
    loop {
        match copies::generated_network(&host.root, name) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData)
                    && host.live()
                    && !refused.exists()
                    && begin.elapsed() < REFILL =>
            {
                sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// Removes the container's file, and that of a zone without containers.
pub(crate) fn remove(host: &Host, name: &MachineName) {
    put(host, name, None);
}

fn put(host: &Host, name: &MachineName, wanted: Option<&NetworkText>) {
    let own = || copies::own_network_path(&host.root, name);
    let path = wanted.map_or_else(own, |wanted| copies::network_path(&host.root, &wanted.file_name));
    let put = copies::put_network(&host.root, name, wanted);
    let swept = host.live()
        && !copies::sweep_networks(&host.root, |name| copies::intended(&host.root, name)).is_empty();
    match put {
        Ok(changed) if (changed || swept) && host.live() && runs(host) => {
            if let Err(error) = host.program("networkctl").arg("reload").limit(LIMIT).output() {
                host.report(Event::NetworkdNotTold { path, error: format!("{error:#}") });
            }
        }
        Ok(_) => {}
        Err(error) => host.report(Event::NetworkFileFailed { path, error: error.to_string() }),
    }
}

/// The unit of networkd.
pub(crate) const NETWORKD: &str = "systemd-networkd.service";

/// Enables and starts networkd.
pub(crate) fn enable(host: &Host) -> Result<()> {
    host.manager("systemctl").args(["enable", "--now", NETWORKD]).output().map(|_| ())
}

/// Restarts networkd, which then writes its rules again. Links and leases stay.
pub(crate) fn restart(host: &Host) -> Result<()> {
    host.manager("systemctl").args(["restart", NETWORKD]).output().map(|_| ())
}

/// Returns whether networkd runs on the host.
pub(crate) fn runs(host: &Host) -> bool {
    let words = ["is-active", "--quiet", NETWORKD];
    host.manager("systemctl").args(words).output_if_any().is_some()
}

/// Returns whether networkd starts with the host.
pub(crate) fn enabled(host: &Host) -> bool {
    let words = ["is-enabled", "--quiet", NETWORKD];
    host.manager("systemctl").args(words).output_if_any().is_some()
}

/// Returns what networkd records about an interface (`/run/systemd/netif/links`); `None` if there is no such interface, or
/// networkd does not know it.
pub(crate) fn link(host: &Host, interface: &str) -> Option<String> {
    let index = fs::read_to_string(host.path("/sys/class/net").join(interface).join("ifindex")).ok()?;
    fs::read_to_string(host.path("/run/systemd/netif/links").join(index.trim())).ok()
}

/// Returns a value of such a record.
pub(crate) fn link_value<'a>(record: &'a str, key: &str) -> Option<&'a str> {
    record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

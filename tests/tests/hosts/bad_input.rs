//! Environments in which `create` cannot work: it prints one clear line and changes nothing.

use nixos_nspawn_tests::host::{FLAKE, Host, Output, bins};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(surroundings);

/// Runs `create web` in a shell, after commands that break its environment in their own mount namespace.
fn spoiled(host: &Host, spoil: &str, environment: &str) -> Output {
    let script = format!("{spoil}; exec env {environment} nixos-nspawn create web --flake {FLAKE}");
    host.run(&["unshare", "--mount", "sh", "-euc", &script])
}

fn surroundings(host: &Host) {
    host.install(bins());
    // Nix makes its directories, and the first container those that all share.
    host.create("off");
    let before = host.traces();
    let without = |program: &str| {
        format!(
            "mkdir -p /srv/{program}/upper /srv/{program}/work
            mount -t overlay overlay /usr/bin \
                -o lowerdir=/usr/bin,upperdir=/srv/{program}/upper,workdir=/srv/{program}/work
            rm /usr/bin/{program}"
        )
    };
    let (no_nix, no_nspawn) = (without("nix"), without("systemd-nspawn"));
    let read_only = "mount --bind /etc /etc && mount -o remount,bind,ro /etc";
    let full = "mount -t tmpfs -o size=4k,mode=755 tmpfs /etc/nixos-nspawn && echo > /etc/nixos-nspawn/.x";
    let foreign_folder = "mount -t tmpfs -o uid=65534,mode=755 tmpfs /etc/nixos-nspawn";
    // The same store with another owner.
    let foreign_store = "mkdir -p /srv/upper /srv/work && chown 65534 /srv/upper && \
        mount -t overlay -o lowerdir=/nix/store,upperdir=/srv/upper,workdir=/srv/work overlay /nix/store";
    for (what, spoil, environment, words) in [
        ("no nix", no_nix.as_str(), "", vec!["nix"]),
        ("no nspawn", no_nspawn.as_str(), "", vec!["systemd-nspawn", "systemd-container"]),
        ("not root", ":", "setpriv --reuid=65534 --regid=65534 --clear-groups", vec!["root"]),
        ("no systemd", "mount -t tmpfs tmpfs /run/systemd", "", vec!["systemd", "--root"]),
        ("read-only /etc", read_only, "", vec!["/etc"]),
        ("full disk", full, "", vec!["/etc/nixos-nspawn", "space"]),
        ("foreign folder", foreign_folder, "", vec!["/etc/nixos-nspawn", "root"]),
        ("foreign store", foreign_store, "", vec!["/nix/store", "root"]),
    ] {
        let output = spoiled(host, spoil, environment);
        assert!(!output.success(), "{what}: {output}");
        assert!(what != "not root" || output.code() == 10, "{what}: {output}");
        let said: Vec<_> = output.stderr.lines().filter(|line| line.starts_with("nixos-nspawn: ")).collect();
        let error = said.last().unwrap_or_else(|| panic!("{what}: nothing is said: {output}"));
        for word in words {
            assert!(error.contains(word), "{what}: {word} is not in {error:?}: {output}");
        }
        assert!(host.listed("web").is_none(), "{what}: {output}");
        host.assert_no_traces_since(&before);
    }

    // Everybody with read access can use the reading commands.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "nixos-nspawn"];
    for arguments in [&["list"][..], &["show", "off"]] {
        let output = host.run(&[&nobody[..], arguments].concat());
        assert!(output.success() && output.stdout.contains("off"), "{output}");
    }
    host.create("web");
}

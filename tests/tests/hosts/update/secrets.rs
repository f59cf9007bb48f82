//! Passwords and tokens of sources stay with root.

use nixos_nspawn_tests::host::Host;
use pretty_assertions::assert_eq;

use super::unattended::nix_calls;

/// A password in a reference is in the intent alone, which only root can read. Containers see the host's profiles, and what is
/// remembered beside them.
pub(crate) fn passwords_are_for_root(host: &Host, url: &str) {
    let create = &["create", "private", "--flake", &format!("{url}#web"), "--no-start"];
    let intent = "/etc/nixos-nspawn/private.json";
    for command in [&create[..], &["disable", "private"], &["update", "private"], &["-v", "plan", "private"]]
    {
        nix_calls(host);
        let output = host.ctl_ok(command);
        assert!(!output.text().contains("sesame"), "{output}");
        let mode = host.sh(&format!("stat -c %a {intent}"));
        assert_eq!(mode, "600\n", "{output}");
    }
    assert_eq!(nix_calls(host), ["flake metadata"], "it is the same source without the password");
    let found = host.sh("grep -rl -D skip sesame /etc /run /var/lib/machines /nix/var/nix/profiles");
    assert_eq!(found.trim(), intent);
    let seen = host.inside("web", &["cat", "/nix/var/nix/profiles/per-nspawn/private/updates.json"]);
    assert!(seen.contains("http://***@127.0.0.1"), "{seen}");
}

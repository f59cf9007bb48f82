//! What `doctor --fix` repairs in files.

use nixos_nspawn_tests::host::Host;

use super::files::records_cases;
use super::{Case, assert_found, doctor, found, healthy, of};

/// What `--fix` repairs, in one run.
pub(crate) fn repairs(host: &Host) {
    for Case { broken, found, .. } in records_cases() {
        if ["roots", "litter", "records"].contains(&found[0]) && !broken.contains("nobody.removed") {
            host.sh(broken);
        }
    }
    host.sh("rm /nix/var/nix/gcroots/nixos-nspawn/nobody");
    host.sh("sed -i 's/\"systemd\": *[0-9]*/\"systemd\":260/' /etc/nixos-nspawn/host.json");
    let planned = host.ctl(&["doctor", "--fix", "--dry-run"]).stdout;
    for line in
        ["make a root for container 'web'", "record the version of systemd", "remove what was left behind"]
    {
        assert!(planned.contains(&format!("would fix: {line}")), "{line}: {planned}");
    }
    assert!(!planned.contains(" fixed: ") && host.exists("/etc/nixos-nspawn/.gone.creating"), "{planned}");
    let output = host.ctl(&["doctor", "--fix", "--json"]);
    assert!(output.success(), "{output}");
    assert!(output.stderr.contains("container 'gone' was left half created by a killed command"), "{output}");
    let all = found(&output.stdout);
    let fixed = |check: &str| {
        let of = all.iter().filter(|one| one.check == check);
        of.flat_map(|one| one.fixed.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(fixed("roots"), "made a root for container 'web'");
    assert_eq!(fixed("systemd"), format!("recorded that systemd {} runs", host.systemd()));
    assert!(fixed("litter").contains("removed /run/nixos-nspawn/devices/nobody"), "{all:#?}");
    assert!(
        !host.exists("/etc/nixos-nspawn/.web.json.new") && !host.exists("/etc/nixos-nspawn/.gone.creating")
    );
    let target = host.sh("readlink /nix/var/nix/gcroots/nixos-nspawn/web");
    assert_eq!(target.trim(), host.intent("web")["toplevel"].as_str().expect("a path"));
    healthy(host);
    // A plan that is not loaded.
    host.sh("cp -a /etc/nixos-nspawn/web.json /root/web.json
        jq '.container.environment = {A: \"b\"}' /root/web.json > /etc/nixos-nspawn/web.json");
    assert_found(
        &doctor(host, &[]),
        ["units", "warning", "planned for container 'web'", "systemctl daemon-reload"],
    );
    let output = host.ctl_ok(&["doctor", "--fix"]);
    assert!(output.stdout.contains("fixed: ran 'systemctl daemon-reload'"), "{output}");
    host.sh("cp -a /root/web.json /etc/nixos-nspawn/web.json; systemctl daemon-reload");
    healthy(host);
}

/// A copy that `setup` has made: another build of the same version stays, an older version is replaced.
pub(crate) fn old_copy(host: &Host) {
    const OWN: &str = "/etc/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!(
        "mv /usr/local/lib/systemd/system-generators/nixos-nspawn-generator /usr/local/bin/
         nixos-nspawn setup
         cp /usr/local/bin/nixos-nspawn-generator /root/shipped
         printf x >> {OWN}
         cp {OWN} /root/other"
    ));
    let found = doctor(host, &["--fix"]);
    assert_found(&found, ["versions", "note", "is another build", ""]);
    assert!(of(&found, "versions").iter().all(|one| one.next.is_empty()), "{found:#?}");
    host.sh(&format!(
        "cmp {OWN} /root/other
         printf '#!/bin/sh\\necho nixos-nspawn-generator 0.0.1\\necho unit-helper /usr/local/libexec/nixos-nspawn/unit-helper\\n' \
         > {OWN}"
    ));
    assert_found(&doctor(host, &[]), ["versions", "warning", "is of version 0.0.1", "nixos-nspawn setup"]);
    let output = host.ctl_ok(&["doctor", "--fix"]);
    assert!(output.stdout.contains(&format!("fixed: installed {OWN}")), "{output}");
    host.sh(&format!("cmp {OWN} /root/shipped"));
    healthy(host);
}

//! `show`: the record, the generated files, and containers that are broken or not ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::SYSTEM;
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use crate::zoo;

#[test]
fn show_lists_the_record() {
    let text = zoo().ok(&["show", "web"]);
    let (head, rest) = text.split_once("\n       Plan: ").unwrap();
    let (plan, files) = rest.split_once('\n').unwrap();
    assert_eq!(plan.len(), 32, "{plan}");
    assert!(files.starts_with("      Files: /run/systemd/generator/"), "{files}");
    assert!(files.ends_with("\n             ('nixos-nspawn cat web' prints them)\n"), "{files}");
    let expected = format!(
        "\
web
       Type: imperative
      State: - (unknown: systemd was not asked)
  Autostart: yes (set by the container)
      Notes: host port tcp/80 is also claimed by 'old'
     Source: flake github:me/infra#web
             for x86_64-linux
     System: {SYSTEM}-web (generation 3)
    Options: bindMounts = /srv/data:/data
             forwardPorts = {{\"hostPort\":80}}
             userNamespacing = true
 Host reach: can write /srv/data, owners not mapped (bindMounts)
             can reach the host, and what the host forwards, over a virtual Ethernet link (network)
             can use the address, DHCP server and masquerading that systemd gives such a link by default (hostNetworkConfig)
             can take host port tcp/80 (forwardPorts)
             cannot act as the host's root (userNamespacing)
     Intent: /etc/nixos-nspawn/web.json
    Profile: /nix/var/nix/profiles/per-nspawn/web/system
       Data: /var/lib/machines/web
       Unit: systemd-nspawn@web.service"
    );
    assert_eq!(head, expected);
}

#[test]
fn show_has_the_files_that_the_generator_writes() {
    let tree = zoo();
    let out = TempDir::new().unwrap();
    let generator = Command::new(&bins().generator)
        .arg("--root")
        .arg(tree.root())
        .args([out.path(); 3])
        .output()
        .unwrap();
    // 1: it refused db, as it should.
    assert_eq!(generator.status.code(), Some(1));
    for name in ["web", "old", "db", "dup"] {
        let details = tree.json(&["show", name, "--json"]);
        let files = details["files"].as_array().unwrap();
        let autostart = details["autostart"] == true;
        // The settings and the drop-in, or the refusal; a file for networkd, and links.
        let good = usize::from(details["error"].is_null());
        assert_eq!(files.len(), 2 + good + if autostart { 2 } else { 0 }, "{details}");
        for file in files {
            let path = file["path"].as_str().unwrap();
            let written = out.path().join(path.strip_prefix("/run/systemd/generator/").unwrap());
            match file["link_to"].as_str() {
                Some(target) => assert_eq!(fs::read_link(&written).unwrap(), Path::new(target)),
                None => assert_eq!(file["text"], fs::read_to_string(&written).unwrap()),
            }
        }
        let (shown, text) = (tree.ok(&["show", name]), tree.ok(&["cat", name]));
        for file in files {
            assert!(shown.contains(&format!(" {}\n", file["path"].as_str().unwrap())), "{shown}");
            assert!(file["text"].as_str().is_none_or(|file| text.contains(file)), "{text}");
        }
    }
}

#[test]
fn show_of_broken_foreign_or_unknown_containers() {
    let tree = zoo();
    let text = tree.ok(&["show", "db"]);
    assert!(
        text.contains("Notes: the start is refused: /etc/nixos-nspawn/db.json:2: field 'container.zoen'"),
        "{text}"
    );
    assert!(text.contains("correct /etc/nixos-nspawn/db.json, then run 'systemctl daemon-reload'"), "{text}");
    assert!(tree.ok(&["show", "half"]).contains("'nixos-nspawn remove half' cleans up"));

    for (name, message) in [
        ("nope", "there is no container 'nope' in /etc/nixos-nspawn; 'nixos-nspawn list' shows all"),
        (
            "foreign",
            "there is no container 'foreign' in /etc/nixos-nspawn; /etc/systemd/nspawn/foreign.nspawn is not \
             managed by nixos-nspawn ('machinectl cat foreign' shows it)",
        ),
        ("a/b", "'a/b' is not a machine name: it may contain only letters, digits, '-' and '.', not '/'"),
    ] {
        let said = tree.run(&["show", name]);
        assert_eq!((said.status, said.out.as_str(), said.err), (2, "", format!("nixos-nspawn: {message}\n")));
    }
}

#[test]
fn cat_prints_what_the_generator_writes() {
    let tree = zoo();
    let text = tree.ok(&["cat", "quiet"]);
    let json = tree.json(&["cat", "quiet", "--json"]);
    let heads: Vec<&str> =
        text.lines().filter(|line| line.starts_with("# /run/systemd/generator/")).collect();
    let files = json["files"].as_array().unwrap();
    assert_eq!(heads.len(), files.len());
    assert!(heads.iter().any(|line| line.ends_with("/nixos-nspawn/quiet.nspawn")), "{heads:?}");
    // What is refused has a file that says why.
    assert!(tree.ok(&["cat", "db"]).contains("db.refused\n"));
    let said = tree.run(&["cat", "nobody", "quiet"]);
    assert_eq!((said.status, said.out.as_str()), (2, text.as_str()));
}

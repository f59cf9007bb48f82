//! The commands that look and the two that set autostart, on trees below `--root`: what a person and a script see, what
//! is changed, and that nothing else is. Their live side is in the host tests.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::{Said, Tree};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

const SYSTEM: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system";

/// What only these tests ask of a tree.
trait Intents {
    /// An intent with further fields.
    fn intent(&self, name: &str, fields: Value);

    fn recorded(&self, name: &str) -> Value;
}

impl Intents for Tree {
    fn intent(&self, name: &str, fields: Value) {
        let mut intent = json!({ "version": 1, "toplevel": format!("{SYSTEM}-{name}") });
        intent.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.write(&format!("/etc/nixos-nspawn/{name}.json"), &intent.to_string());
    }

    fn recorded(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(&format!("/etc/nixos-nspawn/{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// Something of everything.
fn zoo() -> Tree {
    let tree = Tree::new();
    tree.intent(
        "web",
        json!({
            "source": { "flake": "github:me/infra#web", "system": "x86_64-linux" },
            "profile": "/nix/var/nix/profiles/per-nspawn/web/system",
            "generation": 3,
            "container": { "bindMounts": ["/srv/data:/data"], "forwardPorts": [{ "hostPort": 80 }],
                           "userNamespacing": true },
        }),
    );
    tree.intent("old", json!({ "autostart": false, "container": { "forwardPorts": [{ "hostPort": 80 }] } }));
    tree.write(
        "/etc/nixos-nspawn/db.json",
        &format!(
            "{{ \"version\": 1, \"toplevel\": \"{SYSTEM}-db\",\n  \"container\": {{ \"zoen\": \"x\" }} }}"
        ),
    );
    tree.intent("quiet", json!({}));
    tree.intent("dup", json!({}));
    tree.write(
        "/etc/nixos-nspawn/declarative.d/dup.json",
        &json!({ "version": 1, "toplevel": format!("{SYSTEM}-dup") }).to_string(),
    );
    tree.write("/etc/nixos-nspawn/bad_name.json", "{}");
    tree.write("/etc/nixos-nspawn/.half.creating", "{}");
    tree.write("/etc/nixos-nspawn/.gone.removing", "{}");
    tree.write("/etc/systemd/nspawn/foreign.nspawn", "[Exec]\nBoot=yes\n");
    tree.link(
        "/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service",
        "/usr/lib/systemd/system/systemd-nspawn@.service",
    );
    tree.link("/etc/systemd/system/systemd-nspawn@dup.service", "/dev/null");
    tree
}

#[test]
fn list_is_a_table_with_remarks_below() {
    let expected = "\
NAME   TYPE         STATE  AUTOSTART  NOTE
db     imperative   -      yes        refused
dup    declarative  -      yes        warning, …
gone   imperative   -      -          half removed
half   imperative   -      -          half created
old    imperative   -      no         warning, …
quiet  imperative   -      yes
web    imperative   -      yes        warning

db: the start is refused: /etc/nixos-nspawn/db.json:2: field 'container.zoen': is not known (did you mean 'zone'?)
dup: /etc/nixos-nspawn/dup.json: 'dup' is also a declarative container, which takes precedence
dup: masked by 'systemctl mask'; 'systemctl unmask systemd-nspawn@dup.service' lets it start again
gone: half removed: 'nixos-nspawn remove gone' finishes it
half: half created: 'nixos-nspawn remove half' cleans up
old: host port tcp/80 is also claimed by 'web'
old: starts with the host all the same, by /etc/systemd/system/machines.target.wants/systemd-nspawn@old.service; \
'nixos-nspawn disable old' removes that
web: host port tcp/80 is also claimed by 'old'
/etc/nixos-nspawn/bad_name.json: 'bad_name' is not a machine name: it may contain only letters, digits, '-' and '.', not '_'
";
    assert_eq!(zoo().ok(&["list"]), expected);
    let declarative = zoo().ok(&["list", "--type", "declarative"]);
    assert!(
        declarative.starts_with("NAME  TYPE         STATE  AUTOSTART  NOTE\ndup   declarative"),
        "{declarative}"
    );
    assert!(!declarative.contains("web") && !declarative.contains("bad_name"), "{declarative}");
}

#[test]
fn colour_is_for_terminals_and_those_who_ask() {
    let tree = zoo();
    assert!(!tree.ok(&["list"]).contains('\u{1b}'));
    let coloured = tree.ok(&["--color", "always", "list"]);
    assert!(coloured.contains("\u{1b}[31mrefused\u{1b}[0m"), "{coloured:?}");
    let mut plain = String::new();
    let mut inside = false;
    for c in coloured.chars() {
        inside |= c == '\u{1b}';
        if !inside {
            plain.push(c);
        }
        inside &= c != 'm';
    }
    assert_eq!(plain, tree.ok(&["list"]));
}

#[test]
fn nothing_to_list() {
    let tree = Tree::new();
    for (words, message) in [
        (&["list"][..], "no containers in /etc/nixos-nspawn; 'nixos-nspawn create' makes one"),
        (&["list", "--type", "declarative"], "no declarative containers"),
    ] {
        let said = tree.run(words);
        assert_eq!((said.status, said.out.as_str()), (0, ""));
        assert_eq!(said.err, format!("nixos-nspawn: {message}\n"));
    }
    assert_eq!(tree.ok(&["list", "--json"]), "[]\n");
}

#[test]
fn list_as_json_keeps_the_keys_of_python_nixos_nspawn() {
    let tree = zoo();
    let said = tree.run(&["--color", "always", "list", "--json"]);
    assert_eq!(said.status, 0);
    assert!(said.err.contains("bad_name.json: 'bad_name' is not a machine name"), "{}", said.err);
    assert!(!said.out.contains('\u{1b}'));
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["db", "dup", "gone", "half", "old", "quiet", "web"]);
    let of = |name: &str| list.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(
        of("web"),
        json!({
            "name": "web",
            "unit_file": "/run/systemd/generator/nixos-nspawn/web.nspawn",
            "is_imperative": true,
            "type": "imperative",
            "unit": "systemd-nspawn@web.service",
            "state": null,
            "sub_state": null,
            "result": null,
            "autostart": true,
            "masked": false,
            "enabled_links": [],
            "toplevel": format!("{SYSTEM}-web"),
            "generation": 3,
            "intent_file": "/etc/nixos-nspawn/web.json",
            "unfinished": null,
            "error": null,
            "warnings": ["host port tcp/80 is also claimed by 'old'"],
            "reload_needed": false,
            "restart_needed": false,
        })
    );
    let db = of("db");
    let error = "/etc/nixos-nspawn/db.json:2: field 'container.zoen': is not known (did you mean 'zone'?)";
    assert_eq!(
        (&db["error"], &db["unit_file"], &db["toplevel"]),
        (&json!(error), &Value::Null, &Value::Null)
    );
    assert_eq!((&of("dup")["is_imperative"], &of("dup")["masked"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&of("half")["unfinished"], &of("gone")["unfinished"]),
        (&json!("creating"), &json!("removing"))
    );
    assert_eq!(
        of("old")["enabled_links"],
        json!(["/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service"])
    );
}

#[test]
fn show_tells_what_is_recorded() {
    let text = zoo().ok(&["show", "web"]);
    let head = text.split("\n\n").next().unwrap();
    let (head, plan) = head.rsplit_once('\n').unwrap();
    assert!(plan.starts_with("       Plan: ") && plan.len() == 13 + 32, "{plan}");
    let expected = format!(
        "\
web
       Type: imperative
      State: - (not known: systemd was not asked)
  Autostart: yes (as the container says)
      Notes: host port tcp/80 is also claimed by 'old'
     Source: flake github:me/infra#web
             for x86_64-linux
     System: {SYSTEM}-web (generation 3)
    Options: bindMounts = /srv/data:/data
             forwardPorts = {{\"hostPort\":80}}
             userNamespacing = true
 Host reach: writes /srv/data (bind mount)
             takes host port tcp/80
     Intent: /etc/nixos-nspawn/web.json
    Profile: /nix/var/nix/profiles/per-nspawn/web/system
       Data: /var/lib/machines/web
       Unit: systemd-nspawn@web.service"
    );
    assert_eq!(head, expected);
}

#[test]
fn show_has_the_very_files_that_the_generator_writes() {
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
        assert_eq!(files.len(), if autostart { 4 } else { 2 }, "{details}");
        for file in files {
            let path = file["path"].as_str().unwrap();
            let written = out.path().join(path.strip_prefix("/run/systemd/generator/").unwrap());
            match file["link_to"].as_str() {
                Some(target) => assert_eq!(fs::read_link(&written).unwrap(), Path::new(target)),
                None => assert_eq!(file["text"], fs::read_to_string(&written).unwrap()),
            }
        }
        let text = tree.ok(&["show", name]);
        for file in files.iter().filter_map(|file| file["text"].as_str()) {
            assert!(text.contains(file), "{text}");
        }
    }
}

#[test]
fn show_of_what_is_broken_foreign_or_unknown() {
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
fn enable_and_disable_set_the_word_of_the_administrator() {
    let tree = Tree::new();
    tree.intent("web", json!({ "container": { "zone": "lan" } }));
    tree.intent("off", json!({ "container": { "activation": { "autoStart": false } } }));
    let before = tree.recorded("web");

    assert_eq!(tree.ok(&["disable", "web"]), "container 'web' does not start with the host any more\n");
    assert_eq!(tree.recorded("web")["autostart"], false);
    let nothing = "container 'web' does not start with the host, nothing changed\n";
    assert_eq!(tree.ok(&["disable", "web"]), nothing);
    assert_eq!(tree.json(&["show", "web", "--json"])["files"].as_array().unwrap().len(), 2);

    assert_eq!(tree.ok(&["enable", "web"]), "container 'web' now starts with the host\n");
    assert_eq!(
        tree.ok(&["enable", "web"]),
        "container 'web' starts with the host already, nothing changed\n"
    );
    let mut after = tree.recorded("web");
    assert_eq!(after.as_object_mut().unwrap().remove("autostart"), Some(json!(true)));
    after.as_object_mut().unwrap().remove("name");
    assert_eq!(after, before);
    let text = tree.ok(&["show", "web"]);
    assert!(text.contains("Autostart: yes (set by the administrator)"), "{text}");

    // What the container says today may change with the next update.
    let pinned =
        "container 'off' still does not start with the host, now whatever its own configuration says\n";
    assert_eq!(tree.ok(&["disable", "off"]), pinned);
    assert_eq!(tree.recorded("off")["autostart"], false);
    assert_eq!(
        fs::metadata(tree.path("/etc/nixos-nspawn/off.json")).unwrap().permissions().mode() & 0o7777,
        0o644
    );
    let left: Vec<_> = fs::read_dir(tree.path("/run/nixos-nspawn")).unwrap().collect();
    assert!(left.is_empty(), "locks are left: {left:?}");

    for changed in [true, false] {
        let expected = json!({ "name": "off", "autostart": true, "changed": changed, "masked": false });
        assert_eq!(tree.json(&["enable", "off", "--json"]), expected);
    }
    let said = tree.run(&["enable", "nobody", "--json"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "an error is for people");
    assert!(said.err.starts_with("nixos-nspawn: there is no container 'nobody'"), "{}", said.err);
}

#[test]
fn disable_deletes_the_links_of_systemctl_enable() {
    let tree = Tree::new();
    tree.intent("old", json!({ "autostart": false }));
    let link = "/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service";
    tree.link(link, "/usr/lib/systemd/system/systemd-nspawn@.service");
    let other = "/etc/systemd/system/machines.target.wants/systemd-nspawn@older.service";
    tree.link(other, "/usr/lib/systemd/system/systemd-nspawn@.service");
    let said = tree.run(&["disable", "old"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "container 'old' does not start with the host any more\n")
    );
    assert_eq!(said.err, format!("nixos-nspawn: removed {link}, which 'systemctl enable' made\n"));
    assert!(tree.path(link).symlink_metadata().is_err());
    assert!(tree.path(other).symlink_metadata().is_ok());
}

/// systemd would start the bare template in its place, and tell of a failed dependency without a name.
#[test]
fn a_required_container_that_is_not_there() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("/var/lib/machines/foreign")).unwrap();
    tree.intent("db", json!({}));
    tree.intent("web", json!({ "container": { "requires": ["db", "dd", "foreign", "sshd.service"] } }));
    let said = tree.run(&["list"]);
    let warnings: Vec<&str> = said.out.lines().filter(|line| line.starts_with("web: requires")).collect();
    assert_eq!(warnings, ["web: requires 'dd', which is no container here; it cannot start without it"]);
}

#[test]
fn enable_and_disable_refuse_what_is_not_theirs() {
    let tree = zoo();
    let snapshot = |name: &str| fs::read(tree.path(&format!("/etc/nixos-nspawn/{name}.json"))).unwrap();
    for (name, status, message) in [
        ("dup", 10, "container 'dup' is declarative, nothing was changed"),
        ("db", 10, "db.json:2: field 'container.zoen'"),
        ("nope", 2, "there is no container 'nope'"),
        ("bad_name", 2, "'bad_name' is not a machine name"),
    ] {
        for command in ["enable", "disable"] {
            let (dup, db) = (snapshot("dup"), snapshot("db"));
            let said = tree.run(&[command, name]);
            assert_eq!((said.status, said.out.as_str()), (status, ""), "{command} {name}: {}", said.err);
            assert!(said.err.contains(message), "{}", said.err);
            assert_eq!((snapshot("dup"), snapshot("db")), (dup, db));
        }
    }
    let said = tree.run(&["autostart"]);
    assert_eq!(said.status, 10);
    assert_eq!(said.err, "nixos-nspawn: this command works on the running system only, not with --root\n");
}

#[test]
fn readers_may_go_away_and_disks_be_full() {
    let tree = zoo();
    for words in [&["list"][..], &["list", "--json"], &["show", "web"], &["show", "web", "--json"]] {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let said: Said = tree
            .command(words)
            .stdout(OwnedFd::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
            .into();
        assert_eq!(said.status, 0, "{words:?}: {}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said: Said = tree.command(&["list"]).stdout(full).output().unwrap().into();
    assert_eq!(said.status, 1);
    assert!(said.err.starts_with("nixos-nspawn: standard output: No space left"), "{}", said.err);

    // Nor does a closed standard error stop a command.
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let (closed, stderr) = UnixStream::pair().unwrap();
    drop(closed);
    let mut child = tree
        .command(&["list", "--json"])
        .stdout(OwnedFd::from(writer))
        .stderr(OwnedFd::from(stderr))
        .spawn()
        .unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(serde_json::from_str::<Value>(&text).is_ok());
}

#[test]
fn readers_without_rights_are_told_so() {
    assert!(rustix::process::geteuid().is_root(), "these tests change users and need root");
    let tree = zoo();
    let as_nobody = |words: &[&str]| -> Said {
        // The program may lie where nobody may go; it is handed over as an open file.
        let program = fs::File::open(&bins().ctl).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/proc/self/fd/0", "--root"]);
        command.arg(tree.root()).args(words).stdin(program).output().unwrap().into()
    };
    fs::set_permissions(tree.path("/etc/nixos-nspawn/web.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = as_nobody(&["list"]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("\nweb    imperative   -      -          unreadable\n"), "{}", said.out);
    assert!(
        said.out.contains("\nweb: /etc/nixos-nspawn/web.json: cannot be read: Permission denied"),
        "{}",
        said.out
    );
    assert!(as_nobody(&["show", "web"]).out.contains("Remedy: try again with sudo"));
    assert_eq!(as_nobody(&["enable", "quiet"]).status, 1);

    fs::set_permissions(tree.path("/etc/nixos-nspawn"), fs::Permissions::from_mode(0o700)).unwrap();
    for words in [&["list"][..], &["list", "--json"], &["show", "web"]] {
        let said = as_nobody(words);
        let all = said.out + &said.err;
        assert_eq!(said.status, 1, "{words:?}: {all}");
        assert!(all.contains("/etc/nixos-nspawn: cannot be read: Permission denied"), "{all}");
    }
}

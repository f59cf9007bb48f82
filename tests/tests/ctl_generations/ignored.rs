//! Settings that systemd-nspawn would ignore.

use nixos_nspawn_tests::offline::Tree;

use crate::store;

#[test]
fn what_nspawn_would_ignore_is_said() {
    let (profile, system) = (store("profile"), store("system"));
    let tree = Tree::new();
    tree.write(&format!("{system}/init"), "init");
    tree.link(&format!("{profile}/init"), &format!("{system}/init"));
    let data =
        r#"{"version":1,"nspawnConfig":{"Exec":{"Capability":["CAP_NET_ADMN"],"Personality":"x86-64"}}}"#;
    tree.write(&format!("{profile}/nixos-nspawn/data.json"), data);
    for more in [&["--dry-run"][..], &[]] {
        let said = tree.run(&[&["create", "web", "--profile", &profile], more].concat());
        assert_eq!(said.status, 0, "{}", said.err);
        let notes: Vec<&str> = said.err.lines().filter(|line| line.contains("[Exec]")).collect();
        let note = "nixos-nspawn: container 'web': [Exec] Capability=: 'CAP_NET_ADMN' is not a capability, ignored; did you mean 'CAP_NET_ADMIN'?";
        assert_eq!(notes, [note], "{}", said.err);
    }
}

use super::*;
use crate::testing::Played;
use crate::testing::ended as ends;

#[test]
fn answers_of_nft() {
    let answer = r#"{"nftables": [{"metainfo": {"version": "1.1.3"}}, {"map": {"family": "ip",
        "name": "map_port_ipport", "table": "io.systemd.nat", "type": ["inet_proto", "inet_service"], "handle": 5,
        "map": ["ipv4_addr", "inet_service"], "elem": [
            [{"concat": [6, 8080]}, {"concat": ["192.168.66.221", 80]}],
            [{"concat": ["udp", 5353]}, {"concat": ["192.168.66.221", 53]}]]}}]}"#;
    let parsed = |text: &str| table(&ends(0, text, "").unwrap()).unwrap();
    assert_eq!(ports(&parsed(answer)), [(6, 8080), (17, 5353)]);
    assert!(ports(&Value::Null).is_empty());
    assert!(ports(&parsed(r#"{"nftables": [{"map": {"family": "ip"}}]}"#)).is_empty());
}

#[test]
fn what_is_masqueraded() {
    const SET: &str = r#"{"nftables": [{"metainfo": {}}, {"set": {"family": "ip", "name": "masq_saddr", "elem": [
        {"prefix": {"addr": "192.168.33.160", "len": 28}}, {"range": ["10.1.0.0", "10.1.0.31"]}, "10.3.0.1"]}}]}"#;
    let with = |text: &str| Forwards {
        ports: BTreeSet::new(),
        masqueraded: sources(&table(&ends(0, text, "").unwrap()).unwrap()),
    };
    let any = |forwards: &Forwards, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|text| (*text).to_owned()).collect();
        forwards.masquerades_any(&addresses)
    };
    let all = with(SET);
    for (addresses, expected) in [
        (&["192.168.33.175", "fe80::1"][..], true),
        (&["192.168.33.176"], false),
        (&["10.1.0.16"], true),
        (&["172.17.0.1", "10.3.0.1"], true),
        (&["10.3.0.2"], false),
        // It may have no address yet.
        (&["fe80::1", "169.254.1.1"], true),
        (&[], true),
    ] {
        assert_eq!(any(&all, addresses), expected, "{addresses:?}");
    }
    let none = with(r#"{"nftables": [{"set": {"family": "ip"}}]}"#);
    assert!(!any(&none, &[]) && !any(&none, &["10.3.0.1"]));
    let strange = with(r#"{"nftables": [{"set": {"elem": [{"elem": {"val": "10.0.0.1"}}]}}]}"#);
    assert!(any(&strange, &["10.3.0.1"]));
}

#[test]
fn only_a_missing_table_is_empty() {
    const MISSING: &str =
        "Error: No such file or directory; did you mean table \u{2018}f\u{2019} in family ip?";
    for (code, stdout, stderr, read) in [
        (1, "", "Error: No such file or directory\nlist set ip io.systemd.nat masq_saddr", true),
        (1, "", MISSING, true),
        (1, "", "netlink: Error: cache initialization failed: Operation not permitted", false),
        (1, "", "", false),
        (0, "", "", false),
        (0, r#"{"nftables": []}"#, "", true),
    ] {
        let played = Played::new();
        played.on_call(move |_, _| Some(ends(code, stdout, stderr)));
        let seen = Forwards::read_with(&played.host, Path::new("nft"));
        assert_eq!(seen.is_ok(), read, "{code} {stdout} {stderr}");
        assert!(!seen.is_ok_and(|seen| seen.masquerades()));
    }
    let played = Played::new();
    played.on_call(|_, _| Some(Err(Failed::Program("nft: took longer than 5 s".into()).into())));
    assert!(Forwards::read_with(&played.host, Path::new("nft")).is_err());
}

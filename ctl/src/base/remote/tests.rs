use super::*;

fn split(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn targets() {
    for (given, destination, port, store) in [
        ("alpha", "alpha", None, "ssh-ng://alpha"),
        (
            "root@alpha.example.org:2222",
            "root@alpha.example.org",
            Some(2222),
            "ssh-ng://root@alpha.example.org",
        ),
        ("::1", "::1", None, "ssh-ng://[::1]"),
        ("me@[fe80::1%eth0]:22", "me@fe80::1%eth0", Some(22), "ssh-ng://me@[fe80::1%eth0]"),
    ] {
        let target = Target::parse(given).unwrap();
        assert_eq!((target.destination.as_str(), target.port), (destination, port), "{given}");
        assert_eq!((target.store().as_str(), target.to_string().as_str()), (store, given));
    }
    for bad in [
        "",
        "-oProxyCommand=x",
        "root@-oProxyCommand=x",
        "-x@alpha",
        "@alpha",
        "alpha:",
        "alpha:0",
        "alpha:x",
        "alpha:99999",
        "a b",
        "alpha;reboot",
        "$(x)",
        "[::1",
        "[::1]x",
        "root@",
        "al/pha",
        "a\nb",
    ] {
        assert!(Target::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn files_of_hosts() {
    let found = listed("# production\nalpha\n\n  root@beta:22 # the second\n").unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["alpha", "root@beta:22"]);
    let why = listed("alpha\n-x\n").unwrap_err();
    assert!(why.starts_with("2: '-x' "), "{why}");
}

#[test]
fn words_for_the_hosts() {
    for (given, expected) in [
        ("-H alpha list", "list"),
        ("list -Halpha --host beta --host=gamma --hosts-file f -q", "list -q"),
        ("-vH alpha show web", "-v show web"),
        ("show -vHalpha web", "show -v web"),
        ("update web -H alpha -- -H x --host y", "update web -- -H x --host y"),
        ("create Hugo --flake x#Hugo -H alpha", "create Hugo --flake x#Hugo"),
        ("check web --check --hosts", "check web --check --hosts"),
    ] {
        assert_eq!(words(&split(given)), split(expected), "{given}");
    }
}

#[test]
fn options_are_left_out() {
    let words = split("create web --flake x#y --flake=z --system s -- --flake w");
    assert_eq!(without(&words, "--flake"), split("create web --system s -- --flake w"));
}

#[test]
fn shells_read_the_words_unchanged() {
    let odd = ["a\\\\b", "it\\'s", "x \\", "\\n", "~ %self =x", "{a,b}"];
    for word in
        ["web", "it's", "$(reboot)", "a b", "", "`x`", "\"", "\\", "new\nline", "*"].into_iter().chain(odd)
    {
        let line = format!("printf %s {}", quoted(word));
        let output = std::process::Command::new("sh").arg("-c").arg(&line).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{line}");
        // fish reads a backslash between single quotes as an escape, unlike all others.
        let (mut between, mut chars) = (false, line.chars());
        while let Some(c) = chars.next() {
            assert!(!(between && c == '\\'), "{line}");
            match c {
                '\'' => between = !between,
                '\\' => drop(chars.next()),
                _ => {}
            }
        }
    }
}

#[test]
fn versions() {
    assert_eq!(version("nixos-nspawn 0.2.1\ngenerator 0.2.0\n"), Some((0, 2, 1)));
    assert_eq!(version("nixos-nspawn 1.0.0-rc1\n"), Some((1, 0, 0)));
    assert_eq!((version(""), version("sh: not found")), (None, None));
    assert_eq!(too_old((0, 2, 0), (0, 2, 9)), None);
    assert_eq!(too_old((0, 2, 5), (0, 2, 0)), None);
    assert_eq!(too_old((0, 2, 0), (1, 0, 0)), None);
    let why = "nixos-nspawn there is 0.1.9, older than 0.2.0 here";
    assert_eq!(too_old((0, 2, 0), (0, 1, 9)).as_deref(), Some(why));
}

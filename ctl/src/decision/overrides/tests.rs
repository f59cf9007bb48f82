use super::*;

fn container(options: Value) -> Container {
    let mut options = options;
    options["version"] = json!(1);
    parse_data(options.to_string().as_bytes()).unwrap().container
}

fn set(pairs: &[(&str, &str)]) -> OverrideChanges {
    let given = |(option, text): &(&str, &str)| ((*option).to_owned(), Given::Text((*text).to_owned()));
    OverrideChanges { set: pairs.iter().map(given).collect(), ..OverrideChanges::default() }
}

fn add(pairs: &[(&str, &str)]) -> OverrideChanges {
    let OverrideChanges { set, .. } = set(pairs);
    OverrideChanges { add: set, ..OverrideChanges::default() }
}

/// Sets options over a build.
fn with(build: Value, changes: &OverrideChanges) -> Result<Value, String> {
    let layer = changed(&Overrides::default(), changes)?;
    over(&layer, &container(build)).map(|container| serde_json::to_value(container).unwrap())
}

#[test]
fn values_as_options_take_them() {
    for (build, option, text, expected) in [
        (json!({}), "memoryMax", "1G", json!({"memoryMax": "1G"})),
        (json!({"memoryMax": "2G"}), "memoryMax", "1G", json!({"memoryMax": "1G"})),
        (json!({"memoryMax": "2G"}), "memoryMax", "null", json!({})),
        (json!({}), "bridge", "br0", json!({"bridge": "br0"})),
        (json!({}), "tasksMax", "100", json!({"tasksMax": 100})),
        (json!({}), "ephemeral", "true", json!({"ephemeral": true})),
        (json!({}), "hostname", "123", json!({"hostname": "123"})),
        (json!({}), "activation.autoStart", "false", json!({"activation": {"autoStart": false}})),
        (
            json!({"environment": {"A": "1", "B": "2"}}),
            "environment.A",
            "x y",
            json!({"environment": {"A": "x y", "B": "2"}}),
        ),
        (json!({"macvlan": ["eth0"]}), "macvlan", "eth1", json!({"macvlan": ["eth1"]})),
        (json!({"macvlan": ["eth0"]}), "macvlan", "[]", json!({})),
        (json!({}), "capabilities.add", "CAP_SYS_TIME", json!({"capabilities": {"add": ["CAP_SYS_TIME"]}})),
    ] {
        assert_eq!(with(build, &set(&[(option, text)])), Ok(expected), "{option}={text}");
    }
}

#[test]
fn items_of_one_call_make_a_list_and_later_ones_another() {
    let both = set(&[("macvlan", "eth0"), ("macvlan", "eth1")]);
    let layer = changed(&Overrides::default(), &both).unwrap();
    assert_eq!(lines(&layer), ["macvlan = eth0", "macvlan = eth1"]);
    let layer = changed(&layer, &set(&[("macvlan", "eth2")])).unwrap();
    assert_eq!(lines(&layer), ["macvlan = eth2"]);
}

#[test]
fn what_is_added_follows_the_build() {
    let layer = changed(&Overrides::default(), &add(&[("after", "db"), ("after", "db")])).unwrap();
    assert_eq!(lines(&layer), ["after += db"]);
    for (build, expected) in [(json!({}), json!(["db"])), (json!({"after": ["mail"]}), json!(["mail", "db"]))]
    {
        let options = serde_json::to_value(over(&layer, &container(build)).unwrap()).unwrap();
        assert_eq!(options["after"], expected);
    }
    // The build has it now: it is there once.
    let options = over(&layer, &container(json!({"after": ["db"]}))).unwrap();
    assert_eq!(serde_json::to_value(options).unwrap()["after"], json!(["db"]));
    assert!(changed(&layer, &add(&[(".after", "db")])).is_err());
    // Another list takes its place.
    let layer = changed(&layer, &set(&[("after", "mail")])).unwrap();
    assert_eq!(lines(&layer), ["after = mail"]);
}

#[test]
fn options_are_given_back() {
    let given = set(&[("memoryMax", "1G"), ("environment.A", "1"), ("environment.B", "2")]);
    let layer = changed(&Overrides::default(), &given).unwrap();
    let without = |option: &str| {
        changed(&layer, &OverrideChanges { unset: vec![option.to_owned()], ..OverrideChanges::default() })
    };
    assert_eq!(lines(&without("environment").unwrap()), ["memoryMax = 1G"]);
    assert_eq!(lines(&without("environment.A").unwrap()), ["environment.B = 2", "memoryMax = 1G"]);
    let why = without("memory").unwrap_err();
    assert_eq!(why, "'memory' is not overridden; these are: environment.A, environment.B, memoryMax");
    let none = OverrideChanges { unset: vec!["zone".to_owned()], ..OverrideChanges::default() };
    let why = changed(&Overrides::default(), &none).unwrap_err();
    assert_eq!(why, "'zone' is not overridden, and nothing else is");
}

#[test]
fn refused() {
    for (option, text, why) in [
        ("memoryMaxx", "1G", "did you mean 'memoryMax'?"),
        ("memoryMax", "much", "'memoryMax': "),
        ("activation.start", "no", "is not known"),
        ("macvlan", "a b", "'macvlan[0]': "),
        ("memoryMax.x", "1", "'memoryMax': "),
        ("environment.", "1", "'environment.' is not an option"),
        ("", "1", "'' is not an option"),
        (".network", "host", "'.network' is not an option"),
        ("nspawnConfig..Network.Private", "false", "is not an option"),
        ("network", "host", "also changes the system inside"),
        ("userNamespacing", "false", "also changes the system inside"),
        ("nspawnConfig.Network", "{}", "also changes the system inside"),
        ("nspawnConfig.Network.Private", "false", "also changes the system inside"),
        ("declarative", "true", "is not an option to set"),
        ("version", "2", "is not an option to set"),
    ] {
        let refused = changed(&Overrides::default(), &set(&[(option, text)])).unwrap_err();
        assert!(refused.contains(why), "{option}={text}: {refused}");
    }
    let refused = changed(&Overrides::default(), &add(&[("memoryMax", "1G")])).unwrap_err();
    assert!(refused.contains("is not a list"), "{refused}");
}

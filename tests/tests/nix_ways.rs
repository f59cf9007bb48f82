//! Compares the ways to define a container in Nix, mkContainer and an instance of a host: the same options give the
//! same intent.

use nixos_nspawn_tests::nix::{PROJECT, evaluate};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// Returns the result of each way, which must agree.
fn data(arguments: &[String]) -> Vec<Value> {
    let expressions: Vec<String> = arguments
        .iter()
        .map(|arguments| format!("import {PROJECT}/tests/nix/ways.nix {{ {arguments} }}"))
        .collect();
    let results = evaluate(&expressions).into_iter().zip(arguments);
    results
        .map(|(result, arguments)| {
            let mut ways = result.unwrap_or_else(|said| panic!("{arguments}: {said}"));
            let data = ways["mkContainer"].take();
            assert_eq!(
                ways["beside"], data,
                "{arguments}: an instance with options beside its configuration"
            );
            assert_eq!(ways["within"], data, "{arguments}: an instance with options in its configuration");
            assert_eq!(ways["intent"], data, "{arguments}: the intent of an instance");
            data
        })
        .collect()
}

#[test]
fn every_option_means_the_same() {
    let every = evaluate(&[format!(
        "builtins.mapAttrs (_: builtins.attrNames) (import {PROJECT}/tests/nix/every-option.nix)"
    )]);
    let every = every.into_iter().next().expect("one result").unwrap_or_else(|said| panic!("{said}"));
    let of = |group: &str| format!("(import {PROJECT}/tests/nix/every-option.nix).{group}");
    let mut arguments = Vec::new();
    for (group, options) in every.as_object().expect("groups") {
        arguments.push(format!("settings = {};", of(group)));
        let options = options.as_array().expect("names").iter().map(|name| name.as_str().expect("a name"));
        arguments.extend(options.map(|name| format!("settings.{name} = {}.{name};", of(group))));
    }
    assert!(arguments.len() > 50, "only {} containers", arguments.len());
    let data = data(&arguments);
    // Without a user namespace, nothing is written.
    let empty = |data: &&Value| data.as_object().expect("an object").len() == 1;
    assert_eq!(data.iter().filter(empty).count(), 1, "{data:?}");
}

/// `hardening` is a set of defaults: each definition of an option wins, and bind mounts say whether they are read-only.
#[test]
fn hardening_stands_for_defaults() {
    let drop = [
        "CAP_AUDIT_CONTROL",
        "CAP_AUDIT_WRITE",
        "CAP_DAC_READ_SEARCH",
        "CAP_IPC_OWNER",
        "CAP_LEASE",
        "CAP_LINUX_IMMUTABLE",
        "CAP_MKNOD",
        "CAP_SYS_NICE",
        "CAP_SYS_PTRACE",
        "CAP_SYS_RESOURCE",
        "CAP_SYS_TTY_CONFIG",
    ];
    let filter = "~io_uring_enter io_uring_register io_uring_setup kcmp open_by_handle_at userfaultfd";
    let strict = json!({
        "version": 1, "userNamespacing": true, "capabilities": {"drop": drop}, "systemCallFilter": filter,
        "nspawnConfig": {"Exec": {"NoNewPrivileges": true}}, "memoryMax": "50%", "tasksMax": 4096,
    });
    let without_ptrace: Vec<&str> = drop.into_iter().filter(|one| *one != "CAP_SYS_PTRACE").collect();
    let cases = [
        ("", json!({})),
        (r#"memoryMax = "8G"; tasksMax = 9;"#, json!({"memoryMax": "8G", "tasksMax": 9})),
        (r#"memoryMax = null;"#, json!({"memoryMax": null})),
        (r#"systemCallFilter = "bpf";"#, json!({"systemCallFilter": "bpf"})),
        (
            "nspawnConfig.Exec.NoNewPrivileges = false;",
            json!({"nspawnConfig": {"Exec": {"NoNewPrivileges": false}}}),
        ),
        (r#"capabilities.drop = [ "CAP_SYSLOG" ];"#, json!({"capabilities": {"drop": ["CAP_SYSLOG"]}})),
        (
            r#"capabilities.add = [ "CAP_SYS_PTRACE" ];"#,
            json!({"capabilities": {"add": ["CAP_SYS_PTRACE"], "drop": without_ptrace}}),
        ),
        (r#"capabilities.add = [ "all" ];"#, json!({"capabilities": {"add": ["all"]}})),
        (r#"network = "host";"#, json!({"network": "host", "userNamespacing": null})),
        (
            r#"bindMounts = [ "/a" "/b:/c:norbind" "/d\\:e:/f" "+/g:/h" ":/i" { source = "/j"; }
                              { source = "/k"; readOnly = false; } ];"#,
            json!({"bindMounts": [
                {"source": "/a", "destination": "/a", "idmap": "idmap", "readOnly": true},
                {"source": "/b", "destination": "/c", "idmap": "idmap", "readOnly": true, "recursive": false},
                {"source": "/d:e", "destination": "/f", "idmap": "idmap", "readOnly": true},
                "+/g:/h", ":/i", {"source": "/j", "readOnly": true}, {"source": "/k"},
            ]}),
        ),
    ];
    let arguments: Vec<String> =
        cases.iter().map(|(more, _)| format!(r#"settings = {{ hardening = "strict"; {more} }};"#)).collect();
    for (data, (more, differing)) in data(&arguments).into_iter().zip(cases) {
        let mut expected = strict.clone();
        let fields = expected.as_object_mut().expect("an object");
        fields.extend(differing.as_object().cloned().expect("an object"));
        fields.retain(|_, value| !value.is_null());
        assert_eq!(data, expected, "{more}");
    }
}

/// Definitions for a container in the host's configuration, which users of python-nixos-nspawn write into its own
/// modules.
#[test]
fn definitions_for_the_host_mean_the_same() {
    let cases = [
        // With this, nspawn uses the host's network.
        (
            r#"nspawn.settings.Network.VirtualEthernet = "no";"#,
            json!({"nspawnConfig": {"Network": {"Private": false, "VirtualEthernet": "no"}}}),
        ),
        // With this, it has its own network.
        (
            r#"nspawn.settings.Network = { VirtualEthernet = "no"; MACVLAN = [ "eth0" ]; };"#,
            json!({"nspawnConfig": {"Network": {"VirtualEthernet": "no", "MACVLAN": ["eth0"]}}}),
        ),
        (
            r#"nspawn.settings.Network.VirtualEthernet = "no"; settings.macvlan = [ "eth0" ];"#,
            json!({"macvlan": ["eth0"], "nspawnConfig": {"Network": {"VirtualEthernet": "no"}}}),
        ),
        (
            r#"nspawn.settings.Network.VirtualEthernet = "no"; settings.network = "none";"#,
            json!({"network": "none", "nspawnConfig": {"Network": {"VirtualEthernet": "no"}}}),
        ),
        (
            r#"nspawn.settings.Files.Bind = [ "/a:/b" ]; settings.nspawnConfig.Files.BindReadOnly = [ "/c" ];"#,
            json!({"nspawnConfig": {"Files": {"Bind": ["/a:/b"], "BindReadOnly": ["/c"]}}}),
        ),
        (
            r#"network.address = [ "10.1.0.1/24" ]; settings.hostNetworkConfig.address = [ "" "10.0.0.1/24" ];"#,
            json!({"hostNetworkConfig": {"address": ["", "10.0.0.1/24", "10.1.0.1/24"]}}),
        ),
        // Without hostNetworkConfig, it belongs to a file of the host.
        (r#"network.address = [ "10.1.0.1/24" ];"#, json!({})),
    ];
    let arguments: Vec<String> = cases.iter().map(|(arguments, _)| (*arguments).to_owned()).collect();
    for (mut data, (arguments, expected)) in data(&arguments).into_iter().zip(cases) {
        assert_eq!(data.as_object_mut().expect("an object").remove("version"), Some(json!(1)));
        // This shares the host's network, so the container has no user namespace by default.
        let shares = expected["nspawnConfig"]["Network"]["Private"] == json!(false);
        let namespace = data.as_object_mut().expect("an object").remove("userNamespacing");
        assert_eq!(namespace, Some(json!(true)).filter(|_| !shares), "{arguments}");
        assert_eq!(data, expected, "{arguments}");
    }
}

/// A message about a mistake names the option and the file.
#[test]
fn mistakes_in_an_instance_are_named() {
    let cases = [
        (r#"settings.bindMounts = [ "srv:/b" ];"#, "option `nixos.containers.instances.web.bindMounts"),
        (r#"settings.zone = "thirteen-char";"#, "option `nixos.containers.instances.web.zone'"),
    ];
    let expressions =
        cases.map(|(arguments, _)| format!("(import {PROJECT}/tests/nix/ways.nix {{ {arguments} }}).beside"));
    for (result, (arguments, option)) in evaluate(&expressions).into_iter().zip(cases) {
        let said = result.expect_err(arguments);
        assert!(
            said.contains(option) && said.contains("/etc/nixos/configuration.nix"),
            "{arguments}: {said}"
        );
    }
}

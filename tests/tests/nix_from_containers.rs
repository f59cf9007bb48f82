//! `lib.fromContainers`: `containers` of NixOS become instances that mean the same.

use nixos_nspawn_tests::nix::{PROJECT, evaluate};
use nixos_nspawn_units::intent::parse_data;
use pretty_assertions::assert_eq;
use serde_json::json;

fn translated(container: &str) -> String {
    format!("((import {PROJECT}/nix/lib.nix {{ }}).fromContainers {{ web = {{ {container} }}; }}).web")
}

#[test]
fn the_meaning_is_kept() {
    let host = json!({ "activation": { "autoStart": false }, "network": "host" });
    let with = |fields: serde_json::Value| {
        let mut all = host.as_object().expect("an object").clone();
        all.extend(fields.as_object().expect("an object").clone());
        serde_json::Value::Object(all)
    };
    let cases = [
        ("", host.clone()),
        ("autoStart = true;", json!({ "network": "host" })),
        (
            r#"privateNetwork = true; macvlans = [ "eth0" ];"#,
            with(json!({ "network": "none", "macvlan": ["eth0"] })),
        ),
        (
            r#"bindMounts = { "/a".hostPath = "/srv/a"; "/b" = { mountPoint = "/c"; isReadOnly = false; }; };"#,
            with(json!({ "bindMounts": [
                { "source": "/srv/a", "destination": "/a", "readOnly": true },
                { "source": "/c", "destination": "/c" },
            ] })),
        ),
        (
            r#"privateNetwork = true; hostAddress = "10.0.0.1"; localAddress = "10.0.0.2"; forwardPorts = [ { hostPort = 80; containerPort = 8080; } ];"#,
            json!({
                "activation": { "autoStart": false },
                "forwardPorts": [{ "hostPort": 80, "containerPort": 8080 }],
                "hostNetworkConfig": {
                    "address": ["", "10.0.0.1/32"],
                    "networkConfig": { "DHCPServer": "no" },
                    "routes": [{ "Destination": "10.0.0.2/32" }],
                },
                "containerNetworkConfig": {
                    "address": ["10.0.0.2/32"],
                    "networkConfig": { "DHCP": "no" },
                    "routes": [{ "Destination": "10.0.0.1/32" }, { "Gateway": "10.0.0.1", "GatewayOnLink": true }],
                },
            }),
        ),
        (
            r#"privateNetwork = true; hostBridge = "br0"; localAddress6 = "fd00::2/64";"#,
            json!({
                "activation": { "autoStart": false },
                "bridge": "br0",
                "containerNetworkConfig": { "address": ["fd00::2/64"], "networkConfig": { "DHCP": "no" }, "routes": [] },
            }),
        ),
        (
            r#"restartIfChanged = false; timeoutStartSec = "3min"; ephemeral = true; enableTun = true; tmpfs = [ "/var" ]; additionalCapabilities = [ "CAP_NET_ADMIN" ];"#,
            with(json!({
                "activation": { "autoStart": false, "strategy": "none" },
                "timeoutStartSec": "3min", "ephemeral": true, "tun": true, "tmpfs": ["/var"],
                "capabilities": { "add": ["CAP_NET_ADMIN"] },
            })),
        ),
        (
            r#"allowedDevices = [ { node = "char-usb_device"; modifier = "rw"; } ]; privateUsers = "pick"; extraVeths.ve-backup = { };"#,
            json!({
                "activation": { "autoStart": false }, "network": "none", "userNamespacing": true,
                "extraVeths": ["ve-backup"],
                "serviceConfig": { "DeviceAllow": ["char-usb_device rw"] },
            }),
        ),
        (
            r#"privateNetwork = true; interfaces = [ "eth1" ]; privateUsers = "identity";"#,
            with(json!({
                "network": "none", "interfaces": ["eth1"],
                "nspawnConfig": { "Exec": { "PrivateUsers": "identity" } },
            })),
        ),
        (
            r#"networkNamespace = "/run/netns/vpn";"#,
            json!({ "activation": { "autoStart": false }, "namespacePath": "/run/netns/vpn" }),
        ),
    ];
    let expressions: Vec<String> = cases
        .iter()
        .map(|(container, _)| {
            format!(
                "(import {PROJECT}/tests/nix/ways.nix {{ settings = {}; }}).beside",
                translated(container)
            )
        })
        .collect();
    for (data, (container, expected)) in evaluate(&expressions).into_iter().zip(&cases) {
        let mut data = data.unwrap_or_else(|said| panic!("{container}: {said}"));
        parse_data(data.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{container}: {fault}"));
        data.as_object_mut().expect("an object").remove("version");
        assert_eq!(data, *expected, "{container}");
    }
}

#[test]
fn other_options_of_an_instance_are_passed_on() {
    let container = "config = { a = 1; }; nixpkgs = /nixpkgs; specialArgs.b = 2;";
    let names = evaluate(&[format!("builtins.attrNames {}", translated(container))]).remove(0);
    let names = names.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(
        names,
        json!(["activation", "config", "network", "nixpkgs", "specialArgs", "userNamespacing"])
    );
}

/// The flake in the guide for users of extra-container evaluates.
#[test]
fn a_flake_for_extra_container() {
    let page =
        std::fs::read_to_string(nixos_nspawn_tests::nix::project().join("docs/coming-from-containers.md"))
            .expect("readable");
    let flake = page.split("```").find(|block| block.contains("fromContainers (import ./containers.nix)"));
    let flake = flake.and_then(|flake| flake.strip_prefix("nix")).expect("a flake");
    let flake = flake
        .replace("import ./containers.nix", "{ containers.demo = { privateNetwork = true; hostAddress = \"10.250.0.1\"; localAddress = \"10.250.0.2\"; config = { networking.hostName = \"inside\"; }; }; }");
    let made = evaluate(&[format!(
        "let demo = (({flake}).outputs {{ nixpkgs = {{ outPath = {PROJECT}/tests/nix/stand-in; lib = import {PROJECT}/tests/nix/stand-in/lib; }}; \
         nixos-nspawn.lib = import {PROJECT}/nix/lib.nix {{ }}; }}).nixosContainers.demo; \
         in [ demo.config.networking.hostName demo.data.activation demo.data.hostNetworkConfig.address ]"
    )])
    .remove(0);
    let made = made.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(made, json!(["inside", { "autoStart": false }, ["", "10.250.0.1/32"]]));
}

#[test]
fn options_without_an_equivalent_are_named() {
    let cases = [
        (r#"extraFlags = [ "--private-users" ];"#, "containers.web.extraFlags cannot be translated"),
        (r#"path = "/nix/var/nix/profiles/web";"#, "containers.web.path cannot be translated"),
        (
            "prvateNetwork = true;",
            "containers.web.prvateNetwork cannot be translated: there is no such option",
        ),
        (r#"hostAddress = "10.0.0.1";"#, "containers.web.hostAddress cannot be translated: it has no effect"),
        (
            r#"privateNetwork = true; extraVeths.a.hostBridge = "br0";"#,
            "containers.web.extraVeths.a cannot be translated",
        ),
    ];
    let expressions = cases.map(|(container, _)| translated(container));
    for (result, (container, reason)) in evaluate(&expressions).into_iter().zip(cases) {
        let said = result.expect_err(container);
        assert!(said.contains(reason), "{container}: {said}");
    }
}

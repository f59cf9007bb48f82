//! The effect of options on the system inside, and systems that are refused.

use super::*;

/// Definitions for the host in a container's own modules, as in python-nixos-nspawn.
#[test]
fn definitions_for_the_host_are_honoured() {
    let module = r#"
        {
          systemd.nspawn.web.settings = {
            Exec.PrivateUsers = "pick";
            Files.Bind = [ "/a:/b" ];
            Network.MACVLAN = [ "eth0" ];
          };
          systemd.services."systemd-nspawn@web" = {
            serviceConfig.MemoryMax = "1G";
            environment = { A = "b \"c\""; PATH = "/nowhere"; };
            unitConfig.After = "db.service";
          };
          systemd.network.networks."20-ve-web".address = [ "10.1.0.1/24" ];
          nixosContainer.hostNetworkConfig.address = [ "10.0.0.1/24" ];
          nixosContainer.nspawnConfig.Files.Bind = [ "/c" ];
        }"#;
    let data = value(web(NIXPKGS, module, "data"));
    let sorted = |value: &Value| {
        let mut values: Vec<&str> =
            value.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        values.join(" ")
    };
    assert_eq!(data["nspawnConfig"]["Exec"], json!({"PrivateUsers": "pick"}));
    assert_eq!(sorted(&data["nspawnConfig"]["Files"]["Bind"]), "/a:/b /c");
    assert_eq!(data["nspawnConfig"]["Network"], json!({"MACVLAN": ["eth0"]}));
    assert_eq!(data["serviceConfig"], json!({"MemoryMax": "1G", "Environment": [r#""A=b \"c\"""#]}));
    assert_eq!(data["unitConfig"], json!({"After": "db.service"}));
    assert_eq!(sorted(&data["hostNetworkConfig"]["address"]), "10.0.0.1/24 10.1.0.1/24");
}

/// The system inside fits the options.
#[test]
fn system_fits_the_network() {
    let settings = |name: &str, options: &str| {
        let module = format!("{{ nixosContainer = {{ {options} }}; }}");
        let module = if options.contains("security") { options.to_owned() } else { module };
        let config = container(&format!("name = \"{name}\"; {PKGS}"), &module, "config");
        format!(
            "let c = {config}; in {{ inherit (c.boot) isContainer; inherit (c.networking) hostName domain useNetworkd useDHCP; \
             resolved = c.services.resolved.enable; inherit (c.systemd.network) networks; inherit (c.environment) etc variables; }}"
        )
    };
    let results = evaluate(&[
        settings("web.example", ""),
        settings("web", "network = \"host\";"),
        settings(
            "web",
            "mountDaemonSocket = true; containerNetworkConfig = { networkConfig.DHCP = \"no\"; };",
        ),
        settings("web", "{ security.polkit.enable = true; nixosContainer.containerNetworkConfig = { }; }"),
        settings("web", "{ security.polkit.enable = true; }"),
        settings("web", "{ security.polkit.enable = true; time.timeZone = \"Asia/Tokyo\"; }"),
    ]);
    let results: Vec<Value> =
        results.into_iter().map(|result| result.unwrap_or_else(|said| panic!("{said}"))).collect();
    // Without polkit, networkd may not set the time zone.
    let keeps_zone = json!({
        "systemd/network/80-container-host0.network.d/50-nixos-nspawn.conf": { "text": "[DHCPv4]\nUseTimezone=no\n" },
    });
    let expected = json!({
        "isContainer": true, "hostName": "web", "domain": "example", "useNetworkd": true, "useDHCP": false, "resolved": true,
        "networks": {}, "variables": {}, "etc": keeps_zone,
    });
    assert_eq!(results[0], expected);
    assert_eq!(results[1]["useNetworkd"], false);
    assert_eq!(results[1]["resolved"], false);
    let host0 = &results[2]["networks"]["20-host0"];
    assert_eq!(host0["matchConfig"]["Name"], "host0");
    assert_eq!(host0["networkConfig"]["LinkLocalAddressing"], "ipv6");
    assert_eq!(host0["dhcpV4Config"]["UseTimezone"], false);
    assert_eq!(results[3]["networks"]["20-host0"]["dhcpV4Config"]["UseTimezone"], true);
    let etc: Vec<&Value> = results[1..].iter().map(|result| &result["etc"]).collect();
    assert_eq!(etc, [&json!({}), &json!({}), &json!({}), &json!({}), &keeps_zone]);
    assert_eq!(results[2]["variables"]["NIX_REMOTE"], "daemon");
}

/// Defaults of NixOS that do not work in a container, or not in this one.
#[test]
fn system_fits_a_container() {
    let settings = |options: &str| {
        let module = format!("{{ nixosContainer = {{ {options} }}; }}");
        let config = web(PKGS, &module, "config");
        format!(
            "let c = {config}; in {{ mounted = builtins.attrNames c.boot.specialFileSystems; \
             ping = c.boot.kernel.sysctl.\"net.ipv4.ping_group_range\"; waits = c.systemd.targets.network-online.wantedBy; \
             open = builtins.mapAttrs (_: one: one.allowedUDPPorts) c.networking.firewall.interfaces; \
             stay = map (one: assert !one.unitConfig.DefaultDependencies; one.where) c.systemd.mounts; }}"
        )
    };
    let plain = json!({
        "mounted": ["/dev", "/dev/pts", "/dev/shm", "/proc", "/run", "/run/keys", "/run/wrappers"],
        "ping": "0 2147483647", "waits": [], "open": {},
        "stay": ["/nix/store"],
    });
    assert_eq!(value(settings("userNamespacing = false;")), plain);
    // The kernel refuses to remount what nspawn has mounted, and knows only the ids that are mapped.
    let mut mapped = plain.clone();
    mapped["mounted"] = json!(["/run/keys", "/run/wrappers"]);
    mapped["ping"] = json!("0 65535");
    mapped["stay"] = json!(["/nix/store", "/nix/var/nix/db", "/nix/var/nix/profiles", "/tmp"]);
    assert_eq!(value(settings("")), mapped);
    // Names in a zone are resolved by LLMNR.
    let mut zone = mapped;
    zone["open"] = json!({ "host0": [5355] });
    assert_eq!(value(settings("zone = \"web\";")), zone);
    // Nothing waits for the network if it is the host's; the host's NixOS configures it.
    let mut host = plain;
    host["waits"] = json!(["multi-user.target"]);
    assert_eq!(value(settings("network = \"host\";")), host);
}

/// A container has a user namespace unless it shares the host's network; bind mounts given as strings then keep
/// the owners of files.
#[test]
fn user_namespaces_are_the_default() {
    let data = |options: &str| value(web(PKGS, &format!("{{ nixosContainer = {{ {options} }}; }}"), "data"));
    let written = |options: &str| data(options).get("userNamespacing").cloned();
    for options in ["", "network = \"none\";", "zone = \"a\";", "userNamespacing = true;"] {
        assert_eq!(written(options), Some(json!(true)), "{options}");
    }
    for options in ["network = \"host\";", "namespacePath = \"/run/netns/a\";", "userNamespacing = false;"] {
        assert_eq!(written(options), None, "{options}");
    }
    assert_eq!(written("network = \"host\"; userNamespacing = true;"), Some(json!(true)));
    let binds = |more: &str| {
        let list = r#"[ "/a" "/a:/b" "/a:/c:norbind" "/a\\:b:/d" "/a:/e:noidmap" "/a:/f:norbind,rootidmap" "+/g:/h" ":/i"
            { source = "/j"; } ]"#;
        data(&format!("bindMounts = {list}; {more}"))["bindMounts"].clone()
    };
    let mapped = json!([
        "/a:/a:idmap", "/a:/b:idmap", "/a:/c:norbind,idmap", "/a\\:b:/d:idmap", "/a:/e:noidmap",
        "/a:/f:norbind,rootidmap", "+/g:/h", ":/i", {"source": "/j"}
    ]);
    assert_eq!(binds(""), mapped);
    let plain = json!([
        "/a", "/a:/b", "/a:/c:norbind", "/a\\:b:/d", "/a:/e:noidmap", "/a:/f:norbind,rootidmap", "+/g:/h", ":/i",
        {"source": "/j"}
    ]);
    assert_eq!(binds("userNamespacing = false;"), plain);
}

/// Evaluates a system with this module as a whole.
fn built(module: &str) -> Result<Value, String> {
    let built = web(PKGS, &format!("{{ {module} }}"), "drvPath");
    evaluate(&[format!("builtins.isString {built}")]).into_iter().next().expect("one result")
}

/// A message names what a container's system lacks, with the option to set.
#[test]
fn systems_that_cannot_be_activated_are_refused() {
    for option in ["boot.initrd", "boot.initrd.systemd", "system.etc.overlay"] {
        let said = built(&format!("{option}.enable = true;")).expect_err("nothing would activate it");
        assert!(said.contains(&format!("container 'web': `{option}.enable' is true")), "{said}");
        assert!(said.contains("set it to false."), "{said}");
    }
    let off = "system.switch.enable = false;";
    assert_eq!(built(off), Ok(json!(true)), "the default strategy restarts it");
    let reload = format!("{off} nixosContainer.activation.strategy = \"reload\";");
    let said = built(&reload).expect_err("nothing can be reloaded");
    assert!(said.contains("`system.switch.enable' is false"), "{said}");
}

/// Options that exist only in some releases of NixOS are handled.
#[test]
fn old_and_new_releases() {
    let declares = |option: &str, rest: &str, default: &str| {
        format!("({{ lib, ... }}: {{ options.{option} = lib.mkOption {{ {rest} default = {default}; }}; }})")
    };
    let boot = |module: &str| {
        value(format!(
            "let c = {}; in [ (c.boot.isNspawnContainer or null) c.boot.isContainer ]",
            web(PKGS, module, "config")
        ))
    };
    assert_eq!(boot(""), json!([null, true]));
    assert_eq!(boot(&declares("boot.isNspawnContainer", "", "false")), json!([true, false]));

    // The status on the console goes to the host's journal.
    let status = |module: &str| {
        let config = web(PKGS, module, "config");
        value(format!("let c = {config}; in c.systemd.settings.Manager.ShowStatus or c.systemd.extraConfig"))
    };
    assert_eq!(status(""), "ShowStatus=error");
    assert_eq!(status(&declares("systemd.settings.Manager.ShowStatus", "", "\"auto\"")), "error");

    let init = declares("system.nixos-init.enable", "", "false");
    let systemd = "{ boot.initrd.systemd.enable = true; }";
    let drv =
        |modules: &str| evaluate(&[format!("builtins.isString {}", web(PKGS, modules, "drvPath"))]).remove(0);
    let said = drv(systemd).expect_err("its init is systemd");
    assert!(said.contains("container 'web': `boot.initrd.systemd.enable' is true"), "{said}");
    assert_eq!(drv(&format!("{init} {systemd}")), Ok(json!(true)), "there is no initrd to take it from");
    let said =
        drv(&format!("{init} {{ system.nixos-init.enable = true; }}")).expect_err("it needs an initrd");
    assert!(said.contains("container 'web': `system.nixos-init.enable' is true"), "{said}");

    let built = |option: &str| {
        let module = "{ system.switch.enable = false; nixosContainer.activation.strategy = \"reload\"; }";
        evaluate(&[format!("builtins.isString {}", web(PKGS, &format!("{option} {module}"), "drvPath"))])
            .remove(0)
    };
    let newer = "system.switch.enableNg";
    assert_eq!(built(&declares(newer, "", "true")), Ok(json!(true)));
    for off in [
        declares(newer, "", "false"),
        // Some releases declare a removed option like this.
        declares(newer, "visible = false; apply = _: throw \"removed\";", "true"),
    ] {
        let said = built(&off).expect_err("nothing can be reloaded");
        assert!(said.contains("`system.switch.enable' is false"), "{said}");
    }
}

/// Nix inside works through the host's daemon or not at all.
#[test]
fn nix_needs_the_daemon_of_the_host() {
    let nix = |module: &str| {
        let config = web(PKGS, &format!("{{ {module} }}"), "config");
        format!("let c = {config}; in [ c.nix.enable c.systemd.globalEnvironment c.warnings ]")
    };
    let socket = "nixosContainer.mountDaemonSocket = true;";
    assert_eq!(value(nix("")), json!([false, {}, []]));
    assert_eq!(value(nix(socket)), json!([true, {"NIX_REMOTE": "daemon"}, []]));
    let warned = value(nix("nix.enable = true;"));
    assert!(
        warned[2][0].as_str().is_some_and(|text| text.contains("nixosContainer.mountDaemonSocket")),
        "{warned}"
    );

    for name in ["gc", "optimise"] {
        let automatic = format!("nix.{name}.automatic = true;");
        let said = built(&automatic).expect_err("nothing inside could do it");
        let expected = format!("nix.{name}.automatic: the store is the host's");
        assert!(said.contains(&expected) && said.contains("nixosContainer.mountDaemonSocket"), "{said}");
        assert_eq!(built(&format!("{automatic} {socket}")), Ok(json!(true)));
    }
}

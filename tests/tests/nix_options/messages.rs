//! Messages about errors in a configuration.

use super::*;

/// Refused settings of `nixosContainer`, each with the option that the message names first, and words of the message.
const REFUSED: &[(&str, &str, &str)] = &[
    ("bindMounts = \"/srv:/srv\";", "nixosContainer.bindMounts", "is not of type"),
    ("bindMounts = [ \"srv:/srv\" ];", "nixosContainer.bindMounts", "source 'srv' is not absolute"),
    ("bindMounts = [ \"/srv:b\" ];", "nixosContainer.bindMounts", "destination 'b' is not absolute"),
    (
        "bindMounts.\"/srv\" = { hostPath = \"/srv\"; isReadOnly = false; };",
        "nixosContainer.bindMounts",
        "write { source = hostPath; destination = mountPoint; readOnly = isReadOnly; }",
    ),
    ("bindMounts = [ \"/srv:/a/../b\" ];", "nixosContainer.bindMounts", "is not of type"),
    (
        "bindMounts = [ \"/srv:/b:ro\" ];",
        "nixosContainer.bindMounts",
        "destination = \"/b\"; readOnly = true; }",
    ),
    ("bindMounts = [ { source = \"srv\"; } ];", "nixosContainer.bindMounts", "is not of type"),
    ("bindMounts = [ { } ];", "nixosContainer.bindMounts", "no value defined"),
    (
        "bindMounts = [ { source = \"/srv\"; readonly = true; } ];",
        "nixosContainer.bindMounts",
        "does not exist",
    ),
    ("forwardPorts = [ { hostPort = 0; } ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ { hostPort = 65536; } ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ \"65536\" ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ \"tcp:80:80:80\" ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ \"sctp:80\" ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ \"300.0.0.1:80:80\" ];", "nixosContainer.forwardPorts", "is not of type"),
    ("forwardPorts = [ \"80\" \"80:8080\" ];", "nixosContainer.forwardPorts", "more than once"),
    ("forwardPorts = [ \"80\" \"127.0.0.1:80:81\" ];", "nixosContainer.forwardPorts", "overlap"),
    ("forwardPorts = [ \"0.0.0.0:80\" \"192.0.2.1:80\" ];", "nixosContainer.forwardPorts", "overlap"),
    ("forwardPorts = [ \"udp:127.0.0.1:53\" ];", "nixosContainer.forwardPorts", "TCP only"),
    ("zone = \"thirteen-char\";", "nixosContainer.zone", "is not of type"),
    ("bridge = \"a/b\";", "nixosContainer.bridge", "is not of type"),
    ("macvlan = [ \"eth0:in:side\" ];", "nixosContainer.macvlan", "is not of type"),
    ("network = \"bridge\";", "nixosContainer.network", "is not of type"),
    ("namespacePath = \"netns/vpn\";", "nixosContainer.namespacePath", "'netns/vpn' is not absolute"),
    ("memoryMax = \"lots\";", "nixosContainer.memoryMax", "is not of type"),
    ("memoryMax = \"0M\";", "nixosContainer.memoryMax", "is not of type"),
    ("memoryMax = \"100.5%\";", "nixosContainer.memoryMax", "is not of type"),
    ("memoryHigh = -1;", "nixosContainer.memoryHigh", "is not of type"),
    ("cpuQuota = \"1.5\";", "nixosContainer.cpuQuota", "is not of type"),
    ("cpuQuota = \"0%\";", "nixosContainer.cpuQuota", "is not of type"),
    ("cpuWeight = 0;", "nixosContainer.cpuWeight", "is not of type"),
    ("ioWeight = \"idle\";", "nixosContainer.ioWeight", "is not of type"),
    ("tasksMax = \"many\";", "nixosContainer.tasksMax", "is not of type"),
    ("oomScoreAdjust = 1001;", "nixosContainer.oomScoreAdjust", "is not of type"),
    ("rlimits.FILES = 3;", "nixosContainer.rlimits", "is not of type"),
    ("rlimits.NOFILE = \"1:2:3\";", "nixosContainer.rlimits", "is not of type"),
    ("devices = [ \"/srv\" ];", "nixosContainer.devices", "is not of type"),
    ("devices = [ \"/dev/ttyUSB0:x\" ];", "nixosContainer.devices", "is not of type"),
    ("devices = [ { path = \"/dev/x\"; permissions = \"\"; } ];", "nixosContainer.devices", "is not of type"),
    ("capabilities.add = [ \"NET_ADMIN\" ];", "nixosContainer.capabilities.add", "write CAP_NET_ADMIN"),
    ("tmpfs = [ \"cache\" ];", "nixosContainer.tmpfs", "'cache' is not absolute"),
    ("inaccessiblePaths = [ \"/a/..\" ];", "nixosContainer.inaccessiblePaths", "is not of type"),
    ("hostname = \"-x\";", "nixosContainer.hostname", "is not of type"),
    ("hostname = \"a..b\";", "nixosContainer.hostname", "is not of type"),
    ("timezone = \"Europe/Berlin\";", "nixosContainer.timezone", "is not of type"),
    ("resolvConf = \"copy\";", "nixosContainer.resolvConf", "is not of type"),
    ("environment.\"A B\" = \"c\";", "nixosContainer.environment", "is not of type"),
    ("environment.A = 3;", "nixosContainer.environment.A", "is not of type"),
    ("credentials = [ { path = \"/x\"; } ];", "nixosContainer.credentials", "no value defined"),
    ("credentials = [ { id = \"a b\"; } ];", "nixosContainer.credentials", "is not of type"),
    ("credentials = [ { id = \"a\"; } { id = \"a\"; } ];", "nixosContainer.credentials", "more than once"),
    ("timeoutStartSec = \"soon\";", "nixosContainer.timeoutStartSec", "is not of type"),
    ("systemCallFilter = \"a, b\";", "nixosContainer.systemCallFilter", "is not of type"),
    ("activation.strategy = \"later\";", "nixosContainer.activation.strategy", "is not of type"),
    ("after = [ \"a_b\" ];", "nixosContainer.after", "is not of type"),
    ("after = [ \"x@.service\" ];", "nixosContainer.after", "is not of type"),
    ("wants = [ \"web\" ];", "nixosContainer.wants", "depend on itself"),
    ("requires = [ \"systemd-nspawn@web.service\" ];", "nixosContainer.requires", "depend on itself"),
    ("after = [ \"a b\" ];", "nixosContainer.after", "is not of type"),
    ("nspawnConfig.Exec.Boot = { };", "nixosContainer.nspawnConfig.Exec", "is not of type"),
    ("serviceConfig.\"A B\" = 1;", "nixosContainer.serviceConfig", "is not of type"),
    ("unitConfig.A = \"two\\nlines\";", "nixosContainer.unitConfig", "is not of type"),
    ("zone = \"a\"; hostNetworkConfig = { };", "nixosContainer.hostNetworkConfig", "nixosContainer.zone"),
    ("zone = \"a\"; bridge = \"b\";", "nixosContainer.zone", "nixosContainer.bridge"),
    ("network = \"host\"; forwardPorts = [ \"80\" ];", "nixosContainer.forwardPorts", "`host'"),
    ("network = \"none\"; forwardPorts = [ \"80\" ];", "nixosContainer.forwardPorts", "`none'"),
    ("network = \"host\"; zone = \"a\";", "nixosContainer.zone", "`host'"),
    ("network = \"none\"; hostNetworkConfig = { };", "nixosContainer.hostNetworkConfig", "`none'"),
    ("namespacePath = \"/run/netns/x\"; macvlan = [ \"eth0\" ];", "nixosContainer.macvlan", "namespacePath"),
    ("namespacePath = \"/run/netns/x\"; network = \"none\";", "nixosContainer.network", "namespacePath"),
    (
        "nspawnConfig.Network.Private = false; forwardPorts = [ \"80\" ];",
        "nixosContainer.forwardPorts",
        "nixosContainer.nspawnConfig.Network",
    ),
    ("capabilities.add = [ \"CAP_NET_ADMN\" ];", "nixosContainer.capabilities.add", "is not of type"),
    ("serviceConfig.ExecStart = \"x\";", "nixosContainer.serviceConfig", "ExecStart="),
    (
        "serviceConfig.ExecStartPre = [ \"\" \"x\" ];",
        "nixosContainer.serviceConfig",
        "an empty ExecStartPre=",
    ),
    ("nspawnConfig.Exec.Capabilty = \"x\";", "nixosContainer.nspawnConfig.Exec", "has no Capabilty="),
    ("nspawnConfig.Files.Boot = true;", "nixosContainer.nspawnConfig.Files", "has no Boot="),
    (
        "hostNetworkConfig.matchConfig.Name = \"ve-x\";",
        "nixosContainer.hostNetworkConfig.matchConfig.Name",
        "cannot be set",
    ),
    ("bindMounts = [ \"/a:/b\" \"/c:/b/\" ];", "nixosContainer.bindMounts", "mounted at /b"),
    ("bindMounts = [ \"/b\" ]; tmpfs = [ \"/b:size=1M\" ];", "nixosContainer.tmpfs", "mounted at /b"),
    (
        "bindMounts = [ { source = \"/a\"; destination = \"/nix/store/x\"; } ];",
        "nixosContainer.bindMounts",
        "/nix/store/x",
    ),
    ("inaccessiblePaths = [ \"/\" ];", "nixosContainer.inaccessiblePaths", "nothing can be mounted at /."),
    ("sharedNix = false;", "nixosContainer.sharedNix", "must be true"),
    (
        "capabilities = { add = [ \"CAP_SYS_TIME\" ]; drop = [ \"CAP_SYS_TIME\" ]; };",
        "nixosContainer.capabilities.add",
        "CAP_SYS_TIME",
    ),
];

#[test]
fn errors_name_the_option() {
    let expressions: Vec<String> = REFUSED
        .iter()
        .map(|(settings, _, _)| {
            let module = format!("{{ nixosContainer = {{ {settings} }}; }}");
            web(NIXPKGS, &module, "drvPath")
        })
        .collect();
    let mut differences = Vec::new();
    for (result, (settings, option, reason)) in evaluate(&expressions).into_iter().zip(REFUSED) {
        match result {
            Ok(_) => differences.push(format!("{settings} is not refused")),
            Err(said) => {
                let last = said.rsplit("error:").next().unwrap_or_default();
                if !last.contains(option) || !last.contains(reason) {
                    differences.push(format!("{settings} is refused otherwise: {last}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Some NixOS options are valid on a machine but not in a container.
#[test]
fn a_system_for_a_machine_is_refused() {
    for option in ["boot.initrd.enable", "system.etc.overlay.enable"] {
        let module = format!("{{ {option} = true; }}");
        let expression = web(NIXPKGS, &module, "drvPath");
        let said = evaluate(&[expression]).remove(0).expect_err(option);
        assert!(said.contains(&format!("container 'web': `{option}' is true, but")), "{said}");
    }
}

/// The flakes that people start from: that of the template, and the one in the README. The stand-ins are their
/// inputs.
#[test]
fn first_flakes_make_a_container() {
    let read = |file: &str| fs::read_to_string(project().join(file)).expect("readable");
    let readme = read("README.md");
    let block = readme.split("```").find(|block| block.starts_with("nix\n") && block.contains("mkContainer"));
    let block = block.and_then(|block| block.strip_prefix("nix")).expect("a flake");
    let template = format!("import {PROJECT}/nix/templates/default/flake.nix");
    // The reader's own file.
    let block = block.replace("./configuration.nix", "{ }");
    let binds = json!({
        "version": 1,
        "bindMounts": ["/srv/web:/var/www:idmap"],
        "userNamespacing": true,
    });
    let ports = json!({ "version": 1, "forwardPorts": ["8080:80"], "userNamespacing": true });
    for (flake, name, expected) in [(&block, "mycontainer", binds), (&template, "web", ports)] {
        let data = value(format!(
            "(({flake}).outputs {{
               self = {{ }};
               nixpkgs = {{ outPath = {PROJECT}/tests/nix/stand-in; lib = {LIB}; }};
               nixos-nspawn.lib = import {PROJECT}/nix/lib.nix {{ }};
             }}).nixosContainers.{name}.data"
        ));
        assert_eq!(data, expected, "{flake}");
    }
    // The template's input is the flake that the template comes from.
    let template = read("nix/templates/default/flake.nix");
    assert!(template.contains("nixos-nspawn.url = \"flake:nixos-nspawn\";"), "{template}");
    assert!(readme.contains("nix registry add nixos-nspawn git+"), "README says how to name it");
}

#[test]
fn wrong_arguments_are_errors_of_one_line() {
    let cases = [
        ("name = \"web\";".to_owned(), "neither 'nixpkgs' nor 'pkgs' is given"),
        (format!("name = \"web\"; {NIXPKGS} {PKGS}"), "both 'nixpkgs' and 'pkgs' are given"),
        (NIXPKGS.to_owned(), "the argument 'name' is missing"),
        (format!("name = \"a_b\"; {NIXPKGS}"), "'a_b' is not a machine name: only letters"),
        (format!("name = \"\"; {NIXPKGS}"), "'' is not a machine name: it is empty"),
        (format!("name = \"a..b\"; {NIXPKGS}"), "'a..b' is not a machine name: '.' and '-'"),
        (format!("name = \"web.raw\"; {NIXPKGS}"), "gives its ending a meaning of its own"),
        (format!("name = \"web-running\"; {NIXPKGS}"), "GC roots"),
        (format!("name = \"host\"; {NIXPKGS}"), "host.json"),
        (format!("name = \"{}\"; {NIXPKGS}", "a".repeat(65)), "longer than 64 characters"),
        (format!("name = 3; {NIXPKGS}"), "must be a string, not a int"),
        (
            format!("name = \"web\"; {PKGS} system = \"x86_64\";"),
            "container 'web': system is 'x86_64', which is not a Linux system",
        ),
        (format!("name = \"web\"; {PKGS} system = \"riscv64-linux\";"), "'pkgs' is for 'x86_64-linux'"),
    ];
    let expressions: Vec<String> =
        cases.iter().map(|(arguments, _)| container(arguments, "", "drvPath")).collect();
    for (result, (arguments, reason)) in evaluate(&expressions).into_iter().zip(&cases) {
        let said = result.expect_err(arguments);
        let last = said.rsplit("error: ").next().unwrap_or_default().trim_end();
        assert!(last.contains(reason) && !last.contains('\n'), "{arguments}: {said}");
    }
}

/// Settings that are valid although they look like refused ones.
#[test]
fn valid_settings_are_accepted() {
    let module = r#"
        {
          nixosContainer = {
            forwardPorts = [ "80" "127.0.0.1:80:80" "[::1]:80" "udp:80" "127.0.0.1:81" "127.0.0.2:81" ];
            environment = { A = "b"; GONE = null; };
            rlimits = { NOFILE = 10; CORE = null; };
            memoryMax = "100.0%";
            after = [ "db.example" "getty@tty1.service" "dev-disk-by\x2dlabel-data.device" ];
            macvlan = [ "eth0]" ];
            bindMounts = [ "/srv" "/srv" "/a\\:b:/b" "/c:/c\\:" ];
            nspawnConfig.Exec.X-Ours = "x";
          };
        }"#;
    let data = value(web(NIXPKGS, module, "data"));
    assert_eq!(data["environment"], json!({"A": "b"}));
    assert_eq!(data["rlimits"], json!({"NOFILE": 10}));
    let reading = parse_data(data.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(reading.container.forward_ports.len(), 6);
    // The whole system is evaluated, so that assertions are checked.
    value(format!("builtins.isString {}", web(NIXPKGS, module, "drvPath")));
}

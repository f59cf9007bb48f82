//! The options of nix/options.nix against what stands elsewhere: the reference made from them, the fields of an intent, and
//! the code that reads data.json. mkContainer is evaluated with tests/nix/stand-in in place of nixpkgs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nixos_nspawn_tests::golden::compare;
use nixos_nspawn_tests::nix::{PROJECT, evaluate, project};
use nixos_nspawn_tests::options_doc::{Documented, markdown, mdoc, options};
use nixos_nspawn_units::intent::{Container, parse, parse_data};
use serde_json::{Map, Value, json};

const LIB: &str = "import /project/tests/nix/stand-in/lib";

fn value(expression: String) -> Value {
    let result = evaluate(&[expression]).into_iter().next().expect("one result");
    result.unwrap_or_else(|said| panic!("{said}"))
}

/// Every option, as nix/options-doc.nix describes it.
fn documented() -> Vec<Documented> {
    options(&value(format!("import {PROJECT}/nix/options-doc.nix {{ lib = {LIB}; }}")))
}

/// mkContainer with these arguments besides the modules.
fn container(arguments: &str, modules: &str, attribute: &str) -> String {
    format!(
        "((import {PROJECT}/nix/lib.nix {{ }}).mkContainer {{ {arguments} modules = [ {modules} ]; }}).{attribute}"
    )
}

const NIXPKGS: &str = "nixpkgs = /project/tests/nix/stand-in; system = \"x86_64-linux\";";
const PKGS: &str = "pkgs = import /project/tests/nix/stand-in { system = \"x86_64-linux\"; };";

#[test]
fn reference_is_current() {
    let options = documented();
    let mut old = Vec::new();
    for (made, file) in
        [(markdown(&options), "docs/options.md"), (mdoc(&options), "man/nixos-nspawn-options.5")]
    {
        let path = project().join(file);
        if std::env::var_os("NIXOS_NSPAWN_BLESS").is_some() {
            fs::write(&path, &made).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        if fs::read_to_string(&path).unwrap_or_default() != made {
            old.push(file);
        }
    }
    assert!(
        old.is_empty(),
        "{old:?}: not what tests/src/options_doc makes of nix/options.nix; \
         NIXOS_NSPAWN_BLESS=1 cargo test --test nix_options writes them"
    );
}

/// The properties below a schema, by path; those of list elements behind a `*`. Free-form objects have none.
fn fields(root: &Value, schema: &Value, prefix: &str, found: &mut BTreeMap<String, bool>) {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
        fields(root, root.pointer(pointer).expect("a definition"), prefix, found);
    }
    for one in ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
        fields(root, one, prefix, found);
    }
    if let Some(items) = schema.get("items") {
        fields(root, items, &format!("{prefix}*."), found);
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, of) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let before = found.len();
        fields(root, of, &format!("{prefix}{name}."), found);
        let list = found.keys().any(|key| key.starts_with(&format!("{prefix}{name}.*.")));
        // An object of known fields is no option itself.
        if found.len() == before || list {
            found.insert(format!("{prefix}{name}"), required.contains(&name.as_str()));
        }
    }
}

#[test]
fn options_are_the_fields_of_a_container() {
    let schema = nixos_nspawn_units::schema();
    let mut known = BTreeMap::new();
    fields(&schema, &schema["$defs"]["Container"], "", &mut known);
    // Options that are not for users are not in the reference.
    known.remove("sharedNix");
    let mut options = BTreeMap::new();
    for option in documented() {
        for element in &option.elements {
            options.insert(format!("{}.*.{}", option.name, element.name), element.default.is_none());
        }
        options.insert(option.name, false);
    }
    let missing: Vec<_> = known.iter().filter(|field| options.get(field.0) != Some(field.1)).collect();
    let unknown: Vec<_> = options.iter().filter(|field| known.get(field.0) != Some(field.1)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "fields and whether they are required; no such option: {missing:?}; no such field: {unknown:?}"
    );
}

#[test]
fn known_names_are_current() {
    let path = project().join("nix/known.json");
    let known = serde_json::to_string_pretty(&nixos_nspawn_units::known_names()).expect("JSON") + "\n";
    compare(&path, &known).unwrap_or_else(|why| panic!("{why}"));
}

/// Leaving an option out means the same in Nix and in JSON.
#[test]
fn defaults_are_those_of_a_container() {
    let mut data = Map::new();
    data.insert("version".into(), json!(1));
    for Documented { name, default, .. } in documented() {
        let default = default.unwrap_or_else(|| panic!("{name} has no default"));
        let mut place = &mut data;
        let (parents, last) =
            name.rsplit_once('.').map_or((None, name.as_str()), |(parents, last)| (Some(parents), last));
        for parent in parents.into_iter().flat_map(|parents| parents.split('.')) {
            place = place.entry(parent).or_insert_with(|| json!({})).as_object_mut().expect("an object");
        }
        place.insert(last.into(), default);
    }
    let reading =
        parse_data(Value::Object(data).to_string().as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    let defaults =
        Container { timeout_start_sec: Some("90s".parse().expect("a time span")), ..Container::default() };
    assert_eq!(reading.container, defaults);
}

/// The examples of the reference are taken, by Nix and in JSON.
#[test]
fn examples_are_valid() {
    let options = documented();
    let examples: Vec<(&str, &Value)> =
        options.iter().filter_map(|option| Some((option.name.as_str(), option.example.as_ref()?))).collect();
    assert!(examples.len() > 30, "only {} options have an example", examples.len());
    let expressions: Vec<String> = examples
        .iter()
        .map(|(name, example)| {
            let module = format!("{{ nixosContainer.{name} = builtins.fromJSON ''{example}''; }}");
            format!("({})", container(&format!("name = \"web\"; {NIXPKGS}"), &module, "data"))
        })
        .collect();
    let data = value(format!("[ {} ]", expressions.join(" ")));
    for (data, (name, example)) in data.as_array().expect("a list").iter().zip(examples) {
        assert!(data.as_object().expect("an object").len() > 1, "{name}: {example} is its default");
        let mut data = data.clone();
        data.as_object_mut().expect("an object").remove("version");
        let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web-26.05";
        let intent = json!({ "version": 1, "toplevel": toplevel, "container": data }).to_string();
        parse(intent.as_bytes(), &"web".parse().expect("a name"))
            .unwrap_or_else(|fault| panic!("{name}: {example}: {fault}"));
    }
}

/// What Nix writes of every option is read, and nothing of it is lost on the way.
#[test]
fn every_option_reaches_the_intent() {
    let every = value(format!("import {PROJECT}/tests/nix/every-option.nix"));
    let every = every.as_object().expect("containers");
    let mut set = BTreeSet::new();
    let expressions: Vec<String> = every
        .keys()
        .flat_map(|name| {
            let module =
                format!("{{ nixosContainer = (import {PROJECT}/tests/nix/every-option.nix).{name}; }}");
            [NIXPKGS, PKGS].map(|from| container(&format!("name = \"web\"; {from}"), &module, "data"))
        })
        .collect();
    let results = evaluate(&expressions);
    for (results, (name, options)) in results.chunks(2).zip(every) {
        let data = results[0].as_ref().unwrap_or_else(|said| panic!("{name}: {said}"));
        assert_eq!(Some(data), results[1].as_ref().ok(), "{name}: the same by nixpkgs and by pkgs");
        set.extend(leaves(options, ""));
        let reading =
            parse_data(data.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{name}: {fault}: {data}"));
        assert!(reading.warnings.is_empty());
        // Some forms are written in another one; but what is not at its default is there.
        let read = serde_json::to_value(&reading.container).expect("serializable");
        let lost = |path: &String| {
            let pointer = format!("/{}", path.replace('.', "/"));
            path != "version" && read.pointer(&pointer).is_none()
        };
        let lost: Vec<String> = leaves(data, "").into_iter().filter(lost).collect();
        assert!(lost.is_empty(), "{name}: not read: {lost:?}");
    }
    for Documented { name, .. } in documented() {
        let used = set.iter().any(|path| *path == name || path.starts_with(&format!("{name}.")));
        assert!(used || name == "declarative", "tests/nix/every-option.nix does not set {name}");
    }
}

/// The paths of all values that are no objects.
fn leaves(value: &Value, prefix: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| leaves(value, &format!("{prefix}.{name}"))).collect()
        }
        _ => vec![prefix.trim_start_matches('.').to_owned()],
    }
}

/// Settings of `nixosContainer`, and what is said against them besides the option's name, which comes first.
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
fn what_is_wrong_names_the_option() {
    let expressions: Vec<String> = REFUSED
        .iter()
        .map(|(settings, _, _)| {
            let module = format!("{{ nixosContainer = {{ {settings} }}; }}");
            container(&format!("name = \"web\"; {NIXPKGS}"), &module, "drvPath")
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

/// What a system may do on a machine, and not in a container.
#[test]
fn a_system_for_a_machine_is_refused() {
    for option in ["boot.initrd.enable", "system.etc.overlay.enable"] {
        let module = format!("{{ {option} = true; }}");
        let expression = container(&format!("name = \"web\"; {NIXPKGS}"), &module, "drvPath");
        let said = evaluate(&[expression]).remove(0).expect_err(option);
        assert!(said.contains(&format!("container 'web': `{option}' is true, but")), "{said}");
    }
}

/// The flakes that people start from: that of the template, and the one in the README. Both find us at the same place.
#[test]
fn first_flakes_make_a_container() {
    let read = |file: &str| fs::read_to_string(project().join(file)).expect("readable");
    let readme = read("README.md");
    let block = readme.split("```").find(|block| block.starts_with("nix\n") && block.contains("mkContainer"));
    let block = block.and_then(|block| block.strip_prefix("nix")).expect("a flake");
    let template = format!("import {PROJECT}/nix/templates/default/flake.nix");
    // The reader's own file.
    let block = block.replace("./configuration.nix", "{ }");
    let binds = json!({ "version": 1, "bindMounts": ["/var/lib/host/path:/var/lib/container/path"] });
    let ports = json!({ "version": 1, "forwardPorts": ["8080:80"] });
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
    for file in ["README.md", "docs/declarative.md", "nix/templates/default/flake.nix"] {
        assert!(read(file).contains("url = \"path:/path/to/nixos-nspawn\";"), "{file}");
    }
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

/// What is fine although it looks like something that is refused.
#[test]
fn what_is_right_is_taken() {
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
    let data = value(container(&format!("name = \"web\"; {NIXPKGS}"), module, "data"));
    assert_eq!(data["environment"], json!({"A": "b"}));
    assert_eq!(data["rlimits"], json!({"NOFILE": 10}));
    let reading = parse_data(data.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(reading.container.forward_ports.len(), 6);
    // Evaluated as a whole, so that assertions are.
    value(format!(
        "builtins.isString {}",
        container(&format!("name = \"web\"; {NIXPKGS}"), module, "drvPath")
    ));
}

/// What users of python-nixos-nspawn say to the host in a container's own modules.
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
    let data = value(container(&format!("name = \"web\"; {NIXPKGS}"), module, "data"));
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
        let config = container(&format!("name = \"{name}\"; {PKGS}"), &module, "config");
        format!(
            "let c = {config}; in {{ inherit (c.boot) isContainer; inherit (c.networking) hostName domain useNetworkd useDHCP; \
             resolved = c.services.resolved.enable; inherit (c.systemd.network) networks; variables = c.environment.variables; }}"
        )
    };
    let results = evaluate(&[
        settings("web.example", ""),
        settings("web", "network = \"host\";"),
        settings(
            "web",
            "mountDaemonSocket = true; containerNetworkConfig = { networkConfig.DHCP = \"no\"; };",
        ),
    ]);
    let results: Vec<Value> =
        results.into_iter().map(|result| result.unwrap_or_else(|said| panic!("{said}"))).collect();
    let expected = json!({
        "isContainer": true, "hostName": "web", "domain": "example", "useNetworkd": true, "useDHCP": false, "resolved": true,
        "networks": {}, "variables": {},
    });
    assert_eq!(results[0], expected);
    assert_eq!(results[1]["useNetworkd"], false);
    assert_eq!(results[1]["resolved"], false);
    let host0 = &results[2]["networks"]["20-host0"];
    assert_eq!(host0["matchConfig"]["Name"], "host0");
    assert_eq!(host0["networkConfig"]["LinkLocalAddressing"], "ipv6");
    assert_eq!(results[2]["variables"]["NIX_REMOTE"], "daemon");
}

/// NixOS's own defaults that do not work in a container, or not in this one.
#[test]
fn system_fits_a_container() {
    let settings = |options: &str| {
        let module = format!("{{ nixosContainer = {{ {options} }}; }}");
        let config = container(&format!("name = \"web\"; {PKGS}"), &module, "config");
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
    assert_eq!(value(settings("")), plain);
    // The kernel refuses to mount anew what nspawn has mounted, and knows only the ids that are mapped.
    let mut mapped = plain.clone();
    mapped["mounted"] = json!(["/run/keys", "/run/wrappers"]);
    mapped["ping"] = json!("0 65535");
    mapped["stay"] = json!(["/nix/store", "/nix/var/nix/db", "/nix/var/nix/profiles", "/tmp"]);
    assert_eq!(value(settings("userNamespacing = true;")), mapped);
    // The names in a zone are asked for by LLMNR.
    let mut zone = plain.clone();
    zone["open"] = json!({ "host0": [5355] });
    assert_eq!(value(settings("zone = \"web\";")), zone);
    // Nobody waits for a network that is the host's; the host's NixOS decides.
    let mut host = plain;
    host["waits"] = json!(["multi-user.target"]);
    assert_eq!(value(settings("network = \"host\";")), host);
}

/// What a container's system lacks is said, with the option to set.
#[test]
fn systems_that_cannot_be_activated_are_refused() {
    let built = |module: &str| {
        let built = container(&format!("name = \"web\"; {PKGS}"), &format!("{{ {module} }}"), "drvPath");
        evaluate(&[format!("builtins.isString {built}")]).into_iter().next().expect("one result")
    };
    for option in ["boot.initrd", "system.etc.overlay", "system.nixos-init"] {
        let said = built(&format!("{option}.enable = true;")).expect_err("nothing would activate it");
        assert!(said.contains(&format!("container 'web': `{option}.enable' is true")), "{said}");
    }
    let off = "system.switch.enable = false;";
    assert_eq!(built(off), Ok(json!(true)), "the default strategy restarts it");
    let reload = format!("{off} nixosContainer.activation.strategy = \"reload\";");
    let said = built(&reload).expect_err("nothing can be reloaded");
    assert!(said.contains("`system.switch.enable' is false"), "{said}");
}

/// Nix inside works through the host's daemon or not at all.
#[test]
fn nix_needs_the_daemon_of_the_host() {
    let settings = |module: &str, attribute: &str| {
        container(&format!("name = \"web\"; {PKGS}"), &format!("{{ {module} }}"), attribute)
    };
    let nix = |module: &str| {
        let config = settings(module, "config");
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

    let job = |module: &str| {
        let built = settings(module, "drvPath");
        evaluate(&[format!("builtins.isString {built}")]).into_iter().next().expect("one result")
    };
    for name in ["gc", "optimise"] {
        let automatic = format!("nix.{name}.automatic = true;");
        let said = job(&automatic).expect_err("nothing inside could do it");
        let expected = format!("nix.{name}.automatic: the store is the host's");
        assert!(said.contains(&expected) && said.contains("nixosContainer.mountDaemonSocket"), "{said}");
        assert_eq!(job(&format!("{automatic} {socket}")), Ok(json!(true)));
    }
}

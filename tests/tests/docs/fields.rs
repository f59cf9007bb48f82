//! Compares nixos-nspawn.json(5) with the types of an intent and nixos-nspawn.conf(5) with the settings that are read, and
//! parses the examples in both.

use std::collections::BTreeSet;
use std::fs;

use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::store::Host;
use serde_json::Value;

use crate::mdoc::Page;
use crate::{ctl, page, said, text};

/// Collects the fields of a schema, such as `container.forwardPorts.hostPort`. Free-form objects have none.
fn schema_fields(root: &Value, schema: &Value, prefix: &str, fields: &mut BTreeSet<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        schema_fields(root, target.unwrap_or_else(|| panic!("no {reference}")), prefix, fields);
    }
    for one in ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
        schema_fields(root, one, prefix, fields);
    }
    if let Some(items) = schema.get("items") {
        schema_fields(root, items, prefix, fields);
    }
    for (name, of) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let field = format!("{prefix}{name}");
        schema_fields(root, of, &format!("{field}."), fields);
        fields.insert(field);
    }
}

/// Returns the fields that the page explains.
fn page_fields(page: &Page) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for item in page.items() {
        let prefix = match item.section.as_str() {
            "FIELDS" => "",
            "FIELDS OF CONTAINER" => "container.",
            _ => continue,
        };
        let names: Vec<&str> = item
            .heads
            .iter()
            .map(|head| head.strip_prefix("Cm ").unwrap_or_else(|| panic!("no field: {head}")))
            .collect();
        assert!(fields.insert(format!("{prefix}{}", names.join("."))), "explained twice: {names:?}");
    }
    fields
}

#[test]
fn json_page_has_the_fields() {
    let schema = nixos_nspawn_units::schema();
    let mut fields = BTreeSet::new();
    schema_fields(&schema, &schema, "", &mut fields);
    assert!(fields.len() > 30, "found only {fields:?}");
    let explained = page_fields(&page("nixos-nspawn.json.5"));
    let missing: Vec<_> = fields.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&fields).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the page: {missing:?}; not known: {unknown:?}");
}

#[test]
fn json_page_says_what_is_required() {
    let page = page("nixos-nspawn.json.5");
    let required = |field: &str| {
        let heading = format!(".It Cm {field}");
        let lines = page.section("FIELDS");
        let mut lines = lines.iter().skip_while(|line| **line != heading);
        lines.nth(1).is_some_and(|line| line.contains("required"))
    };
    let schema = nixos_nspawn_units::schema();
    let properties = schema["properties"].as_object().expect("fields");
    let needed: Vec<&str> =
        schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for field in properties.keys() {
        assert_eq!(required(field), needed.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn json_page_has_the_examples() {
    let name = "web".parse().expect("a name");
    let mut quoted = Vec::new();
    for display in page("nixos-nspawn.json.5").displays() {
        if display.comment == "host.json" {
            serde_json::from_str::<Host>(&display.text).unwrap_or_else(|error| panic!("host.json: {error}"));
            continue;
        }
        assert_eq!(display.text, text(&display.comment), "the page quotes {} otherwise", display.comment);
        parse(display.text.as_bytes(), &name).unwrap_or_else(|fault| panic!("{}: {fault}", display.comment));
        quoted.push(display.comment);
    }
    let mut files: Vec<String> = fs::read_dir(crate::path("examples/intent"))
        .expect("examples")
        .map(|entry| format!("examples/intent/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .collect();
    files.sort();
    quoted.sort();
    assert_eq!(quoted, files, "examples that the page quotes, and those there are");
}

#[test]
fn json_page_has_the_refused_settings() {
    let page = page("nixos-nspawn.json.5");
    let lines = page.section("FIELDS OF CONTAINER");
    let lines = lines.iter().skip_while(|line| !line.contains("refused settings")).skip(1);
    let lines = lines.map_while(|line| line.strip_prefix(".Ql "));
    let told: Vec<&str> = lines.filter_map(|line| line.split('=').next()).collect();
    let source = text("units/src/intent/free/rules.rs");
    let (_, list) = source.split_once("const REFUSED_SERVICE").expect("the list");
    let list = list.split("];").next().expect("its end");
    let refused: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(told, refused);
    for setting in told {
        let json = format!(
            r#"{{"version": 1, "toplevel": "/nix/store/{}-x", "container": {{"serviceConfig": {{"{setting}": "1"}}}}}}"#,
            "0".repeat(32)
        );
        assert!(parse(json.as_bytes(), &"web".parse().expect("a name")).is_err(), "{setting}= is taken");
    }
}

/// hostNetworkConfig has no fields in the schema; the page lists its attributes.
#[test]
fn json_page_has_the_attributes_of_the_host_network() {
    let page = page("nixos-nspawn.json.5");
    let lines = page.section("FIELDS OF CONTAINER");
    let lines = lines.iter().skip_while(|line| **line != ".It Cm hostNetworkConfig").skip(1);
    let lines = lines.take_while(|line| !line.starts_with(".It "));
    let told: BTreeSet<String> =
        lines.filter_map(|line| Some(line.strip_prefix(".Cm ")?.split(' ').next()?.to_owned())).collect();
    let source = text("units/src/intent/host_network/known.rs");
    let known = source.lines().filter_map(|line| line.strip_prefix("    \"")?.split('"').next());
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert!(known.len() > 60, "found only {known:?}");
    let missing: Vec<_> = known.difference(&told).collect();
    assert!(missing.is_empty(), "not in the page: {missing:?}");
    for name in &known {
        let json = format!(
            r#"{{"version": 1, "toplevel": "/nix/store/{}-x", "container": {{"hostNetworkConfig": {{"{name}": null}}}}}}"#,
            "0".repeat(32)
        );
        assert!(parse(json.as_bytes(), &"web".parse().expect("a name")).is_ok(), "{name} is refused");
    }
}

/// Returns the keys that the page's JSON section explains for a command: `.It Cm state , sub_state`.
fn json_keys(page: &Page, command: &str) -> BTreeSet<String> {
    let items = page.items();
    let here = items.iter().filter(|item| item.section == "JSON OUTPUT");
    let heads =
        here.filter(|item| item.subsection.split(", ").any(|one| one == command)).map(|item| item.head());
    let keys = heads.flat_map(|head| head.strip_prefix("Cm ").expect("keys").split(" , ").map(str::to_owned));
    keys.collect()
}

#[test]
fn ctl_page_has_the_json_keys() {
    let root = tempfile::tempdir().expect("a directory");
    let folder = root.path().join("etc/nixos-nspawn");
    fs::create_dir_all(&folder).expect("a directory");
    fs::copy(crate::path("examples/intent/web.json"), folder.join("web.json")).expect("copied");
    let root = root.path().to_str().expect("UTF-8");
    let keys = |words: &[&str]| -> BTreeSet<String> {
        let output = ctl(&[&["--root", root], words].concat());
        let json: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", said(&output)));
        let object = json.get(0).unwrap_or(&json).as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let (list, show) = (keys(&["list", "--json"]), keys(&["show", "web", "--json"]));
    assert!(list.is_subset(&show), "list has what show has not");
    let page = page("nixos-nspawn-ctl.8");
    assert_eq!(json_keys(&page, "show"), show);
    assert_eq!(json_keys(&page, "list"), show);
    assert_eq!(json_keys(&page, "verify"), keys(&["verify", "--json"]));
    assert_eq!(json_keys(&page, "doctor"), keys(&["doctor", "--json"]));
    assert_eq!(json_keys(&page, "audit"), keys(&["audit", "web", "--json"]));
}

/// Returns the JSON answers in the transcripts of the host tests: the command, with `--dry-run` if given, and the value.
fn recorded_answers() -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for name in ["generations", "json", "several", "update"] {
        let transcript = text(&format!("tests/golden/texts/{name}.txt"));
        for call in transcript.split("$ nixos-nspawn ").skip(1) {
            let (words, said) = call.split_once('\n').expect("a line");
            let words: Vec<&str> = words.split(' ').collect();
            let said = said.lines().filter(|line| !line.starts_with(['!', '=', '#']));
            let said = said.collect::<Vec<_>>().join("\n");
            if words.contains(&"--json") && !said.is_empty() {
                let dry_run = if words.contains(&"--dry-run") { " --dry-run" } else { "" };
                let value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{words:?}: {e}\n{said}"));
                answers.push((format!("{}{dry_run}", words[0]), value));
            }
        }
    }
    answers
}

/// Commands whose answers are one object, so that their schemas have all keys.
const OF_SCHEMAS: [&str; 5] = ["rename", "clone", "export", "import", "ip"];

#[test]
fn ctl_page_has_the_json_keys_of_schemas() {
    let page = page("nixos-nspawn-ctl.8");
    for command in OF_SCHEMAS {
        let schema: Value =
            serde_json::from_str(&text(&format!("docs/json/{command}.schema.json"))).expect("JSON");
        let keys = schema["properties"].as_object().expect("an object").keys().cloned().collect();
        assert_eq!(json_keys(&page, command), keys, "{command}");
    }
}

#[test]
fn ctl_page_has_the_json_keys_of_all_commands() {
    let page = page("nixos-nspawn-ctl.8");
    let mut seen = BTreeSet::new();
    for (command, answer) in recorded_answers() {
        let mut told = json_keys(&page, &command);
        if told.is_empty() {
            told = json_keys(&page, command.trim_end_matches(" --dry-run"));
        }
        let objects = answer.as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
        for object in objects.iter().filter(|_| command != "list") {
            let keys: BTreeSet<String> = object.as_object().expect("an object").keys().cloned().collect();
            assert_eq!(told, keys, "{command}");
            seen.insert(command.clone());
        }
    }
    let shown = ["list", "show", "cat", "doctor", "verify", "audit", "completions", "help"];
    let of_systemd = ["start", "stop", "restart", "shell", "run", "logs", "ssh-host-key"];
    let others = [&shown[..], &of_systemd, &OF_SCHEMAS].concat();
    let commands = page.subsections("COMMANDS").into_iter().filter(|command| !others.contains(command));
    let missing: Vec<&str> = commands.filter(|command| !seen.contains(*command)).collect();
    assert!(missing.is_empty(), "no transcript has the JSON of {missing:?}");
    for dry_run in ["create", "rollback", "remove", "update"] {
        assert!(seen.contains(&format!("{dry_run} --dry-run")), "{dry_run}");
    }
}

/// Returns the settings that the code reads, found by match arms such as `("Nix", "Command") =>`.
fn config_settings() -> BTreeSet<String> {
    let source = text("ctl/src/base/config.rs");
    let mut settings = BTreeSet::new();
    for line in source.lines().filter(|line| line.contains("=>")) {
        let parts: Vec<&str> = line.trim_start().split('"').collect();
        let ["(", section, ", ", setting, rest, ..] = parts[..] else { continue };
        if rest.starts_with(')') {
            settings.insert(format!("[{section}] {setting}="));
        }
    }
    assert!(settings.len() > 3, "found only {settings:?} in ctl/src/base/config.rs");
    settings
}

#[test]
fn conf_page_has_the_settings() {
    let items = page("nixos-nspawn.conf.5").items();
    let told = items.iter().filter(|item| item.section == "SETTINGS");
    let told: BTreeSet<String> = told
        .map(|item| format!("{} {}", item.subsection, item.head().strip_prefix("Cm ").expect("a setting")))
        .collect();
    assert_eq!(told, config_settings());
}

#[test]
fn conf_examples_are_read() {
    let displays = page("nixos-nspawn.conf.5").displays();
    assert!(!displays.is_empty(), "no example");
    for display in displays {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join("etc")).expect("a directory");
        let file = root.path().join("etc/nixos-nspawn.conf");
        let tree = root.path().to_str().expect("UTF-8");
        let (list, enable) = (["--root", tree, "list"], ["--root", tree, "enable", "web"]);
        fs::write(&file, &display.text).expect("written");
        let output = ctl(&list);
        assert!(
            output.status.success() && !said(&output).contains(".conf"),
            "{}\n{}",
            display.text,
            said(&output)
        );
        // An unknown setting is told, which shows that the file was read, and refused by a command that changes something.
        let refused = |text: &str| {
            fs::write(&file, text).expect("written");
            let output = ctl(&list);
            assert!(output.status.success() && said(&output).contains("Nonsense"), "{}", said(&output));
            let output = ctl(&enable);
            assert!(!output.status.success() && said(&output).contains("Nonsense"), "{}", said(&output));
        };
        let text = display.text + "Nonsense=1\n";
        refused(&text);
        // As the page says, other line ends count as well: no setting is lost behind a comment.
        refused(&text.replace('\n', "\r"));
        refused(&text.replace('\n', "\r\n"));
    }
}

//! Intent files that take as much work as files of their size can, made from the JSON Schema: for each field the
//! longest text, the longest list, the most keys, and the longest value of a wrong type.

use serde_json::Value;

/// A file and what it exaggerates.
pub struct Case {
    /// The field, such as `container.bindMounts`.
    pub field: String,
    /// How it is exaggerated.
    pub form: &'static str,
    /// The file.
    pub text: String,
}

/// The name of the container in each file.
pub const NAME: &str = "a";

/// A second container, which waits for the first and claims some of its ports.
pub const NEIGHBOUR: &str = r#"{"version":1,"toplevel":"/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-b","container":{"after":["a"],"forwardPorts":["80","443","127.0.0.1:81:81"]}}"#;

/// Returns the worst files of about `size` bytes for every field.
pub fn cases(size: usize) -> Vec<Case> {
    let schema = nixos_nspawn_units::schema();
    let mut walk = Walk { schema: &schema, size, cases: Vec::new() };
    walk.object(&schema, &[]);
    walk.cases
}

struct Walk<'a> {
    schema: &'a Value,
    size: usize,
    cases: Vec<Case>,
}

impl<'a> Walk<'a> {
    /// Returns the alternatives of a schema without references, each with the name of its definition.
    fn alternatives(&self, schema: &'a Value, name: &'a str) -> Vec<(&'a str, &'a Value)> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().expect("a name");
            return self.alternatives(&self.schema["$defs"][name], name);
        }
        let several = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        match several {
            Some(several) => several.iter().flat_map(|one| self.alternatives(one, name)).collect(),
            None => vec![(name, schema)],
        }
    }

    fn object(&mut self, schema: &'a Value, path: &[&str]) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.field(field, &[path, &[name.as_str()]].concat());
        }
        // The attributes of hostNetworkConfig, by the form of their values.
        for (pattern, field) in schema["patternProperties"].as_object().into_iter().flatten() {
            let names = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$"));
            let names: Vec<&str> = names.into_iter().flat_map(|names| names.split('|')).collect();
            for (at, name) in names.iter().enumerate().filter(|_| path.len() == 2) {
                // Attributes of one pattern are handled alike, except for the section that has defaults.
                if at == 0 || *name == "networkConfig" {
                    self.field(field, &[path, &[*name]].concat());
                }
            }
        }
    }

    fn field(&mut self, schema: &'a Value, path: &[&str]) {
        self.add(path, "wrong text", long("", "", self.size));
        self.add(path, "wrong list", format!("[{}]", repeated(self.size, |_| "[]".to_owned())));
        self.add(path, "wrong object", keys(self.size, false, "", "[]"));
        for (name, form) in self.alternatives(schema, "") {
            let of_type = |wanted: &str| {
                form["type"] == wanted
                    || form["type"].as_array().is_some_and(|types| types.contains(&wanted.into()))
            };
            if of_type("string") && form.get("enum").is_none() && form.get("const").is_none() {
                self.texts(path, name);
            }
            if of_type("array") {
                let items = self.alternatives(&form["items"], "");
                for (name, _) in &items {
                    self.lists(path, name);
                }
            }
            if of_type("object") {
                if form.get("properties").is_some() || form.get("patternProperties").is_some() {
                    self.object(form, path);
                }
                self.keys(path);
            }
        }
    }

    fn texts(&mut self, path: &[&str], name: &str) {
        let (begin, part) = match name {
            "AbsolutePath" | "CredentialSource" | "BindMount" => ("/", "a/"),
            "DevicePath" | "Device" => ("/dev/", "a/"),
            "Tmpfs" => ("/t:", "ro,"),
            "StorePath" => ("/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-", "a"),
            "Timespan" => ("", "1s "),
            "SystemCallFilter" => ("", "@keyring "),
            "Hostname" => ("", "a."),
            "MemoryLimit" | "TasksMax" | "CpuQuota" | "Rlimit" => ("", "1"),
            "" if path.last() == Some(&"extraConfig") => ("[Link]", "\\n[Link]"),
            _ => ("", "a"),
        };
        self.add(path, "text", long(begin, part, self.size));
        if path.last() == Some(&"extraConfig") {
            // Not more lines than it may have.
            self.add(path, "lines", long("[Link]", "\\nMTUBytes=1", self.size.min(100_000)));
            self.add(path, "sections", long("[Link]", "\\n[Link]", self.size.min(64_000)));
        }
    }

    fn lists(&mut self, path: &[&str], name: &str) {
        let size = self.size;
        self.add(path, "list", format!("[{}]", repeated(size, |at| element(name, path, at))));
        self.add(path, "same in list", format!("[{}]", repeated(size, |_| element(name, path, 0))));
        self.add(path, "empty in list", format!("[{}]", repeated(size, |_| "{}".to_owned())));
        if path.last() == Some(&"forwardPorts") {
            let address = |at: usize| format!("127.{}.{}.{}", at >> 16, at >> 8 & 255, at & 255);
            let by_address = |at: usize| format!("\"{}:80:80\"", address(at));
            self.add(path, "addresses", format!("[{}]", repeated(size, by_address)));
            let started = |at: usize| format!("{{\"hostPort\":{},\"startOnConnect\":true}}", at % 65_535 + 1);
            self.add(path, "sockets", format!("[{}]", repeated(size, started)));
            let udp = |at: usize| format!("\"{}{}\"", ["", "udp:"][at / 65_535 % 2], at % 65_535 + 1);
            self.add(path, "ports", format!("[{}]", repeated(size, udp)));
        }
        if path.last() == Some(&"drop") {
            let half = |name: &str| format!("[{}]", repeated(size / 2, |_| format!("\"{name}\"")));
            let both = format!("{{\"add\":{},\"drop\":{}}}", half("CAP_SYS_TIME"), half("CAP_MKNOD"));
            self.add(&path[..path.len() - 1], "both lists", both);
        }
    }

    /// Keys of a map in either order, one with many values, and a long one.
    fn keys(&mut self, path: &[&str]) {
        let size = self.size;
        let prefix = match path {
            [_, "environment"] => "K",
            [_, "rlimits"] => "NOFILE",
            [_, "nspawnConfig", _] => "X-",
            _ => "K",
        };
        let value = if path.last() == Some(&"containerNetworkConfig") { "{}" } else { "\"v\"" };
        if ["containerNetworkConfig", "set", "add"].contains(path.last().unwrap_or(&"")) {
            // Objects take much more memory than their text, if they are kept as values.
            let small = repeated(size / 5, |_| "{\"\":0}".to_owned());
            let lists = vec![format!("[{small}]"); 4].join(",");
            self.add(path, "small objects", format!("{{\"K\":[{lists}]}}"));
        }
        self.add(path, "keys", keys(size, false, prefix, value));
        self.add(path, "keys descending", keys(size, true, prefix, value));
        let key = match path {
            [_, "nspawnConfig", "Exec"] => "Environment",
            [_, "nspawnConfig", "Files"] => "Bind",
            [_, "nspawnConfig", "Network"] => "Port",
            _ => "Address",
        };
        let values = repeated(size, |at| match key {
            "Bind" => format!("\"/b{at}:/d{at}\""),
            "Port" => format!("\"{}\"", at % 65_535 + 1),
            _ => format!("\"v{at}\""),
        });
        self.add(path, "values of a key", format!("{{\"{key}\":[{values}]}}"));
        let same = repeated(size, |_| if key == "Port" { "\"80\"".to_owned() } else { "\"a=b\"".to_owned() });
        self.add(path, "same value of a key", format!("{{\"{key}\":[{same}]}}"));
        self.add(path, "long key", format!("{{{}:{value}}}", long(prefix, "a", size)));
        self.add(path, "long value", format!("{{\"{prefix}A\":{}}}", long("", "a", size)));
    }

    fn add(&mut self, path: &[&str], form: &'static str, value: String) {
        let mut fields: Vec<(&str, String)> = vec![
            ("version", "1".to_owned()),
            ("toplevel", "\"/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-a\"".to_owned()),
        ];
        let nested = path[1..].iter().rev().fold(value, |value, name| format!("{{\"{name}\":{value}}}"));
        fields.retain(|(name, _)| *name != path[0]);
        fields.push((path[0], nested));
        let fields: Vec<String> =
            fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        self.cases.push(Case { field: path.join("."), form, text: format!("{{{}}}", fields.join(",")) });
    }
}

/// The room for the other fields of a file.
const REST: usize = 400;

/// A JSON string of about `size` bytes.
fn long(begin: &str, part: &str, size: usize) -> String {
    let part = if part.is_empty() { "a" } else { part };
    let count = (size - REST) / part.len();
    format!("\"{begin}{}\"", part.repeat(count))
}

/// The elements of a list of about `size` bytes; no more than a list may hold.
fn repeated(size: usize, element: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(size);
    for at in 0..16_000 {
        let next = element(at);
        if text.len() + next.len() + 1 > size - REST {
            break;
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(&next);
    }
    text
}

/// An object of about `size` bytes.
fn keys(size: usize, descending: bool, prefix: &str, value: &str) -> String {
    let element = |at: usize| {
        let number = if descending { 999_999 - at } else { at };
        format!("\"{prefix}{number:06}\":{value}")
    };
    format!("{{{}}}", repeated(size, element))
}

/// An element of a list, by the name of its type. A new type must be added here, or its lists would not be valid.
fn element(name: &str, path: &[&str], at: usize) -> String {
    match name {
        "AbsolutePath" => format!("\"/p{at}\""),
        "BindMount" | "Object" => format!("\"/s{at}:/d{at}\""),
        "Capability" => format!("\"{}\"", ["CAP_SYS_TIME", "CAP_BPF", "all"][at % 3]),
        "Credential" => format!("{{\"id\":\"c{at}\"}}"),
        "Dependency" => format!("\"{}\"", if at == 0 { "b".to_owned() } else { format!("c{at}") }),
        "Device" | "Object2" => format!("\"/dev/d{at}\""),
        "Form" | "Fields" => format!("\"{}:80\"", at % 65_535 + 1),
        "InterfacePair" => format!("\"e{at}\""),
        "Scalar" | "Text" => format!("\"v{at}\""),
        "Tmpfs" => format!("\"/t{at}\""),
        "FreeSettings" => format!("{{\"K{at}\":\"v\"}}"),
        // The list of older NixOS's sections, which is given by its element's form.
        "" => "{\"K\":\"v\"}".to_owned(),
        other => panic!("{}: no element of type {other} is known", path.join(".")),
    }
}

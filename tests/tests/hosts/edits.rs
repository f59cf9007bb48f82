//! Units that were edited, and units with drop-ins, as PID 1 reads them: an edit changes what it is about and no other
//! property, and `Merged` says what is in force.

use std::collections::BTreeMap;
use std::fs;

use nixos_nspawn_tests::host::{Host, tree};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use systemd_unit_syntax::{Document, EditError, Merged, drop_in_order, escape};

on_both_hosts!(edited_units, units_with_drop_ins);

/// Properties of a unit by name.
type Properties = BTreeMap<String, String>;

/// Returns the properties of units. Their own names become `NAME`, and what differs between any two units is left out.
fn properties(host: &Host, units: &[String]) -> Vec<Properties> {
    let names: Vec<&str> = units.iter().map(String::as_str).collect();
    let text = host.ok(&[&["systemctl", "show", "--all"], names.as_slice()].concat());
    let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), units.len(), "{text}");
    let own = |line: &str| {
        let (key, _) = line.split_once('=').unwrap_or((line, ""));
        !["InvocationID", "ControlGroupId", "StateChangeTimestamp", "NFileDescriptorStore"].contains(&key)
            && !key.contains("Timestamp")
    };
    let of_block = |(block, unit): (&str, &String)| {
        let stem = unit.strip_suffix(".service").expect("a service");
        let text = block.replace(stem, "NAME");
        let lines = text.lines().filter(|line| own(line));
        // A property of several lines ends up in lines of its own, which is fine for a comparison.
        let mut properties = Properties::new();
        for line in lines {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            // Lists of units have no order.
            let mut words: Vec<&str> = value.split(' ').collect();
            if !key.starts_with("Exec") {
                words.sort_unstable();
            }
            let all = properties.entry(key.to_owned()).or_default();
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&words.join(" "));
        }
        properties
    };
    blocks.into_iter().zip(units).map(of_block).collect()
}

/// Makes a unit look like what people write: other ends of lines, comments between continued ones, blanks.
fn disguised(text: &str, number: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.split_once('=') {
            Some((key, value))
                if !line.starts_with(['#', ';']) && !line.ends_with('\\') && number % 2 == 0 =>
            {
                match value.rsplit_once(' ') {
                    // Inside of quotes, blanks count.
                    Some((begin, end)) if !value.contains(['"', '\'', '\\']) => lines.extend([
                        format!("  {key} =\t{begin} \\"),
                        "# between \\".to_owned(),
                        ";".to_owned(),
                        format!("\t{end}"),
                    ]),
                    _ => lines.push(format!("{key} = {value}")),
                }
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let end = if number % 3 == 0 { "\r\n" } else { "\n" };
    let mark = if number % 5 == 0 { "\u{feff}" } else { "" };
    format!("{mark}{}", lines.join(end))
}

/// The properties that the edits below change.
const EDITED: [&str; 10] = [
    "Description",
    "Documentation",
    "Environment",
    "EnvironmentFiles",
    "ExecStart",
    "ExecStartEx",
    "MemoryAvailable",
    "MemoryMax",
    "EffectiveMemoryMax",
    "StartupMemoryMax",
];

fn edit(document: &mut Document, number: usize) -> Result<(), EditError> {
    document.set("Unit", "Description", &format!("{number} edited"))?;
    document.remove("Unit", "Documentation")?;
    document.remove("Service", "EnvironmentFile")?;
    let assignment = escape::environment("EDITED=a  b%").expect("can be written");
    document.append("Service", "Environment", &assignment)?;
    document.set_all("Service", "ExecStart", &["/bin/true 'one two'"])?;
    document.set("Service", "MemoryMax", "64M")
}

fn edited_units(host: &Host) {
    let place = tree(host.suite()).join("usr/lib/systemd/system");
    let entries = fs::read_dir(place).expect("units").map(|entry| entry.expect("readable"));
    let mut files: Vec<_> = entries.filter(|entry| entry.file_type().expect("known").is_file()).collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let mut plain = Vec::new();
    let mut edited = Vec::new();
    for entry in files {
        let name = entry.file_name().into_string().expect("UTF-8");
        let text = fs::read_to_string(entry.path()).expect("UTF-8");
        // One unit only may have a name on the bus, and one without a command is of another type.
        let can_be_copied = text.contains("\nExecStart=") && !text.contains("BusName=");
        if !name.ends_with(".service") || name.contains('@') || !can_be_copied {
            continue;
        }
        let number = plain.len();
        let text = disguised(&text, number);
        let mut document = Document::parse(text.as_str());
        edit(&mut document, number).expect("can be edited");
        plain.push(format!("plain{number:04}.service"));
        edited.push(format!("edited{number:04}.service"));
        host.write(&format!("/run/systemd/system/{}", plain[number]), &text, 0o644);
        host.write(&format!("/run/systemd/system/{}", edited[number]), document.to_bytes(), 0o644);
    }
    assert!(plain.len() > 30, "{}", plain.len());
    host.ok(&["systemctl", "daemon-reload"]);
    let (before, after) = (properties(host, &plain), properties(host, &edited));
    for (number, (mut before, mut after)) in before.into_iter().zip(after).enumerate() {
        assert_eq!(before["LoadState"], "loaded", "{}", plain[number]);
        let text = host.file(&format!("/run/systemd/system/{}", edited[number]));
        assert_eq!(after["Description"], format!("{number} edited"), "{text}");
        assert!(after["Environment"].contains("\"EDITED=a"), "{}: {text}", after["Environment"]);
        assert!(after["ExecStart"].contains("argv[]=/bin/true one two ;"), "{}: {text}", after["ExecStart"]);
        assert_eq!(after["ExecStart"].matches("path=").count(), 1, "{text}");
        assert_eq!(after["MemoryMax"], "67108864", "{text}");
        assert!(!after.contains_key("EnvironmentFiles") || after["EnvironmentFiles"].is_empty(), "{text}");
        for key in EDITED {
            before.remove(key);
            after.remove(key);
        }
        assert_eq!(after, before, "{text}");
    }
    println!("{}: {} units", host.suite(), plain.len());
}

fn units_with_drop_ins(host: &Host) {
    let places = ["/etc/systemd/system", "/run/systemd/system", "/run/systemd/system.attached"];
    let file = |path: &str, text: &str| {
        host.write(path, text, 0o644);
        path.to_owned()
    };
    let unit = file(
        "/run/systemd/system/merged.service",
        "[Unit]\nDescription=a\nAfter=one.target two.target\n[Service]\nEnvironment=A=0 B=0\nExecStart=/bin/a\nUser=root\n",
    );
    // In the order of precedence, which is not that of their names.
    let [etc, run, low] = places.map(|place| format!("{place}/merged.service.d"));
    let drop_ins = [
        file(
            &format!("{etc}/50-c.conf"),
            "[Service]\nEnvironment=C=50\nUser=daemon\n# ]\n[Unit]\nAfter=three.target\n",
        ),
        file(
            &format!("{run}/10-a.conf"),
            "[Service]\nEnvironment=\nEnvironment = \\\n# c\n\tD=10\\\n E=10\n",
        ),
        file(&format!("{run}/50-c.conf"), "[Service]\nEnvironment=\nEnvironment=MASKED=1\n"),
        file(
            &format!("{low}/60-d.conf"),
            "[Service]\nExecStart=\nExecStart=/bin/d x\nUser=\n[X-Ours]\nUser=x\n",
        ),
        file(
            &format!("{low}/70-e.conf"),
            "[Unit]\nDescription=e\\\n\n[Service]\nEnvironment=F=70\n[Ser\nEnvironment=G=70\n",
        ),
        file(&format!("{low}/.hidden.conf"), "[Service]\nUser=nobody\n"),
        file(&format!("{low}/80-no"), "[Service]\nUser=nobody\n"),
    ];
    host.ok(&["systemctl", "daemon-reload"]);
    let show = |property: &str| host.ok(&["systemctl", "show", "merged.service", "--value", "-p", property]);
    let order = drop_in_order(drop_ins.iter().map(String::as_str));
    assert_eq!(words(&show("DropInPaths")), order);

    let mut documents = vec![Document::parse(host.file(&unit))];
    documents.extend(order.iter().map(|path| Document::parse(host.file(path))));
    let merged = Merged::new(&documents);
    let environment = merged.list("Service", "Environment").join(" ");
    assert_eq!(words(&environment), words(&show("Environment")));
    assert_eq!(merged.list("Service", "Environment"), ["D=10  E=10", "C=50", "F=70"]);
    assert_eq!(merged.last("Unit", "Description"), Some(show("Description").trim()));
    assert_eq!(merged.last("Service", "User").unwrap_or_default(), show("User").trim());
    assert_eq!(merged.list("Service", "ExecStart"), ["/bin/d x"]);
    assert!(show("ExecStart").contains("argv[]=/bin/d x ;"), "{}", show("ExecStart"));
    let after = show("After");
    for name in merged.list("Unit", "After").into_iter().flat_map(words) {
        assert!(words(&after).contains(&name), "{name}: {after}");
    }

    // A unit with an error is not loaded, and its drop-ins are not read.
    let paths =
        ["broken.service", "broken.service.d/50-a.conf"].map(|path| format!("/etc/systemd/system/{path}"));
    host.write(&paths[0], "[Service]\nExecStart=/bin/a\nEnvironment=A=1\n[Ser\n", 0o644);
    host.write(&paths[1], "[Service]\nEnvironment=B=2\n", 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    let show = |property: &str| host.ok(&["systemctl", "show", "broken.service", "--value", "-p", property]);
    assert_ne!(show("LoadState").trim(), "loaded");
    assert!(!show("Environment").contains("B=2"), "{}", show("Environment"));
    let documents = paths.map(|path| Document::parse(host.file(&path)));
    assert!(Merged::new(&documents).list("Service", "Environment").is_empty());
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

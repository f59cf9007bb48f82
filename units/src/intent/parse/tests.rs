#![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

use super::{MAX_SIZE, parse, typed};
use crate::intent::parse_data;
use crate::store::Host;

/// The message for an intent of several lines, whose last one is `field`.
fn refused(field: &str) -> String {
    let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
    let text = format!("{{\n\"version\": 1,\n\"toplevel\": \"{toplevel}\",\n{field}\n}}\n");
    let fault = parse(text.as_bytes(), &"web".parse().unwrap()).unwrap_err();
    format!("{}: {fault}", fault.line.unwrap_or_default())
}

#[test]
fn a_fault_is_in_the_line_of_its_value() {
    for (field, close) in [
        (r#""profile": "var""#, ""),
        (r#""container": {"memoryMax": "2 GB""#, "}"),
        (r#""container": {"zone": "a name that is too long""#, "}"),
        (r#""container": {"cpuQuota": "150""#, "}"),
        (r#""container": {"tmpfs": ["var/cache""#, "]}"),
        (r#""container": {"extraVeths": ["a:b:c""#, "]}"),
        (r#""container": {"credentials": [{"id": "a/b""#, "}]}"),
        (r#""container": {"forwardPorts": [{"hostAddress": "here""#, "}]}"),
        (r#""container": {"hostNetworkConfig": {"extraConfig": "[Nonsense]""#, "}}"),
        (r#""container": {"environment": {"A": "a\nb""#, "}}"),
    ] {
        let close: String = close.chars().flat_map(|c| ['\n', c]).collect();
        let message = refused(&format!("{field}{close}"));
        assert!(message.starts_with("4: field '"), "{message}");
    }
}

#[test]
fn an_option_beside_container() {
    assert_eq!(
        refused(r#""memoryMax": "2G""#),
        "4: field 'memoryMax': is not known (did you mean 'container.memoryMax'?)"
    );
    assert_eq!(
        refused(r#""autoStart": true"#),
        "4: field 'autoStart': is not known (did you mean 'autostart'?)"
    );
    assert_eq!(refused(r#""bootLimit": 4"#), "4: field 'bootLimit': is not known");
}

#[test]
fn the_line_is_that_of_the_field_at_its_path() {
    let both = "\"container\": {\"environment\": {\"zone\": \"x\"},\n\"bridge\": \"br0\",\n\"zone\": \"a\"}";
    assert!(refused(both).starts_with("6: field 'container.zone': "), "{}", refused(both));
    let below = "\"container\": {\"rlimits\": {\"CPU\": 1},\n\"unitConfig\": {\"rlimits\": \"NICE\"},\n\"serviceConfig\": {\n\"KillMode\": \"none\"}}";
    assert!(
        refused(below).starts_with("7: field 'container.serviceConfig.KillMode': "),
        "{}",
        refused(below)
    );
}

#[test]
fn only_one_way_to_write_a_value() {
    for (field, message) in [
        (
            r#""container": {"timezone": {"off": null}}"#,
            "4: field 'container.timezone': invalid type: object, expected a string",
        ),
        (
            r#""container": {"activation": {"strategy": ["none"]}}"#,
            "4: field 'container.activation.strategy': invalid type: list, expected a string",
        ),
        (
            r#""container": {"bindMounts": [["/a"]]}"#,
            "4: field 'container.bindMounts[0]': invalid type: list, expected a string or an object",
        ),
        (
            r#""container": {"containerNetworkConfig": {"a": {"b": 1, "b": 2}}}"#,
            "4: field 'container.containerNetworkConfig.a': duplicate field 'b'",
        ),
        (
            "\"container\": {\"bindMounts\": [{\"source\": \"/a\",\n\"source\": \"/b\"}]}",
            "5: field 'container.bindMounts[0]': duplicate field 'source'",
        ),
    ] {
        assert_eq!(refused(field), message);
    }
    let host = |text: &str| typed::<Host>(text.as_bytes()).map_err(|fault| (fault.line, fault.to_string()));
    assert_eq!(host("[1, 262]"), Err((None, "is not a JSON object".to_owned())));
    let twice = "{\"version\": 1,\n\"systemd\": 262,\n\"systemd\": 262}";
    assert_eq!(host(twice), Err((Some(3), "duplicate field 'systemd'".to_owned())));
}

/// A misspelt version tells more than that there is none.
#[test]
fn misspelt_versions() {
    let name = "web".parse().unwrap();
    for (text, line, reason) in [
        ("{\"toplevel\": 1}", None, "field 'version': is missing"),
        ("{\n\"versoin\": 1}", Some(2), "field 'versoin': is not known (did you mean 'version'?)"),
        ("{\n\"Version\": 1,\n\"x\": 1}", Some(2), "field 'Version': is not known (did you mean 'version'?)"),
        ("{\"ports\": 1}", None, "field 'version': is missing"),
    ] {
        let fault = parse(text.as_bytes(), &name).unwrap_err();
        assert_eq!((fault.line, fault.to_string().as_str()), (line, reason), "{text}");
    }
}

/// The largest files of each kind: comparing names, sorting or looking for a field must not take quadratic time.
#[test]
fn large_files_are_read_in_time() {
    let many = |piece: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for at in 0..16_000 {
            text += &piece(99_999 - at);
        }
        text
    };
    let started = std::time::Instant::now();
    let long = "a".repeat(MAX_SIZE - 4096);
    for field in [
        format!("\"{long}\": 1"),
        format!("\"container\": {{\"{long}\": 1}}"),
        format!("\"container\": {{\"capabilities\": {{\"add\": [\"{long}\"]}}}}"),
        format!("\"container\": \"{long}\""),
        format!("\"container\": {{\"unitConfig\": {{{}\"/\": 1}}}}", many(&|at| format!("\"{at:05}\":1,"))),
        format!(
            "\"container\": {{\"environment\": {{{}\"A\": 1}}}}",
            many(&|at| format!("\"A{at:05}\":\"\","))
        ),
        format!(
            "\"container\": {{\"containerNetworkConfig\": {{{}\"A\": 1}}, \"x\": 1}}",
            many(&|at| format!("\"{at:05}\":1,"))
        ),
    ] {
        assert!(refused(&field).len() < 1000, "{}", refused(&field).len());
    }
    let data = format!("{{{}\"zone\": null}}", many(&|at| format!("\"zon{at:05}\":1,")));
    assert_eq!(parse_data(data.as_bytes()).unwrap().warnings.len(), 21);
    // A few seconds on a slow machine; quadratic time would be many minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

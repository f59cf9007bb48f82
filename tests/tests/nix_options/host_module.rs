//! The host's module without a host: it is called with a configuration that is already merged.

use super::*;

/// Evaluates an expression over what the module makes of these values of `nixos.containers`.
fn made(settings: &str, expression: &str) -> Value {
    value(format!(
        "let lib = {LIB}; config = {{ nix.package = \"NIX\"; systemd.package = \"SYSTEMD\"; nixos.containers = {{ \
         instances = {{ }}; package = \"PACKAGE\"; {settings} }}; }}; \
         plain = builtins.mapAttrs (_: value: value.content or value); \
         made = import {PROJECT}/nix/module.nix {{ inherit config lib; options = {{ }}; pkgs.gitMinimal = \"GIT\"; }}; \
         in {expression}"
    ))
}

/// Returns the settings of a section of a unit file of ours.
fn section(file: &str, section: &str) -> Map<String, Value> {
    let text = fs::read_to_string(project().join("systemd").join(file)).expect("a unit");
    let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let settings = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    settings.map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// `autoUpdate` makes the same units as `setup --auto-update`.
#[test]
fn auto_update_makes_a_service_and_a_timer() {
    let units = "[ (made.config.systemd.services.nixos-nspawn-update or null) (made.config.systemd.timers.nixos-nspawn-update or null) ]";
    let off = "autoUpdate = { enable = false; calendar = \"\"; };";
    assert_eq!(made(off, units), json!([null, null]));

    let on = "autoUpdate = { enable = true; calendar = \"Mon..Fri 05:30\"; };";
    let service = made(on, "made.config.systemd.services.nixos-nspawn-update");
    let mut expected = section("nixos-nspawn-update.service", "Service");
    expected.insert("ExecStart".to_owned(), json!("PACKAGE/bin/nixos-nspawn update --all"));
    let set = service["serviceConfig"].as_object().expect("settings");
    // Numbers are written without quotes in Nix.
    let set: Map<String, Value> = set
        .iter()
        .map(|(key, value)| {
            (key.clone(), value.as_str().map_or_else(|| json!(value.to_string()), |text| json!(text)))
        })
        .collect();
    assert_eq!(set, expected);
    assert_eq!(service["path"], json!(["NIX", "GIT", "SYSTEMD"]));
    let unit = section("nixos-nspawn-update.service", "Unit");
    assert_eq!(service["description"], unit["Description"]);
    assert_eq!((&service["wants"][0], &service["after"][0]), (&unit["Wants"], &unit["After"]));
    assert_eq!(service["restartIfChanged"], false);

    let timer = made(on, "plain made.config.systemd.timers.nixos-nspawn-update.timerConfig");
    let mut expected = section("nixos-nspawn-update.timer", "Timer");
    expected.insert("OnCalendar".to_owned(), json!("Mon..Fri 05:30"));
    expected.insert("Persistent".to_owned(), json!(true));
    assert_eq!(timer, Value::Object(expected));
    assert_eq!(made(on, "made.config.systemd.timers.nixos-nspawn-update.wantedBy"), json!(["timers.target"]));

    // Off by default, at the same time as the unit of a package.
    let options = "made.options.nixos.containers.autoUpdate";
    let timer = section("nixos-nspawn-update.timer", "Timer");
    let defaults =
        format!("[ {options}.enable.default {options}.calendar.default {options}.enable.type.description ]");
    assert_eq!(made(off, &defaults), json!([false, timer["OnCalendar"], "boolean"]));
}

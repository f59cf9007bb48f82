use super::*;
use pretty_assertions::assert_eq;

/// The settings in force, one `Section.Key=value|value` each.
fn in_force(section: &'static str, settings: &[(&str, &str)]) -> Vec<String> {
    let mut file = UnitFile::default();
    let target = file.section(section);
    for (key, value) in settings {
        target.set(key.to_string(), *value);
    }
    effective(&file).iter().map(|it| format!("{}={}", it.key, it.values.join("|"))).collect()
}

#[test]
fn the_last_scalar_wins_and_lists_append() {
    assert_eq!(in_force("Exec", &[("Hostname", "a"), ("Hostname", "b")]), ["Hostname=b"]);
    assert_eq!(in_force("Exec", &[("Parameters", "a 'b c'"), ("Parameters", "d")]), ["Parameters=a|b c|d"]);
}

#[test]
fn an_empty_value_resets_only_what_it_resets() {
    assert_eq!(in_force("Exec", &[("Parameters", "a"), ("Parameters", "")]), [""; 0]);
    assert_eq!(in_force("Exec", &[("NotifyReady", "on"), ("NotifyReady", "")]), [""; 0]);
    assert_eq!(in_force("Exec", &[("KillSignal", "TERM"), ("KillSignal", "")]), ["KillSignal=SIGTERM"]);
    assert_eq!(in_force("Files", &[("Bind", "/a"), ("Bind", "")]), ["Bind=/a:/a"]);
    assert_eq!(in_force("Network", &[("Interface", "a"), ("Interface", "")]), ["Interface=a"]);
    assert_eq!(in_force("Network", &[("Zone", "a"), ("Zone", "")]), ["Zone="]);
}

#[test]
fn what_systemd_ignores_is_not_in_force() {
    assert_eq!(in_force("Exec", &[("X-Boot", "yes"), ("Bot", "yes"), ("Boot", "maybe")]), [""; 0]);
    assert_eq!(in_force("X-Exec", &[("Boot", "yes")]), [""; 0]);
    assert_eq!(in_force("Exec", &[("NotifyReady", "yes"), ("NotifyReady", "maybe")]), ["NotifyReady=yes"]);
    assert_eq!(in_force("Exec", &[("User", "a\"b"), ("Environment", "A='b")]), [""; 0]);
    assert_eq!(
        in_force("Files", &[("Bind", "/a:"), ("Bind", "/a\\"), ("Bind", "+a:/a"), ("Inaccessible", "a")]),
        [""; 0]
    );
}

#[test]
fn values_get_one_spelling() {
    assert_eq!(
        in_force("Files", &[("ReadOnly", "ON"), ("Volatile", "TRUE")]),
        ["ReadOnly=yes", "Volatile=yes"]
    );
    assert_eq!(
        in_force(
            "Exec",
            &[("ResolvConf", "no"), ("LinkJournal", "yes"), ("Timezone", "0"), ("PrivateUsers", "1")]
        ),
        ["PrivateUsers=yes", "ResolvConf=off", "LinkJournal=auto", "Timezone=off"],
    );
    assert_eq!(in_force("Exec", &[("WorkingDirectory", "//a/./b//")]), ["WorkingDirectory=/a/b"]);
    assert_eq!(
        in_force("Exec", &[("Capability", "cap_b CAP_A"), ("Capability", "all CAP_A")]),
        ["Capability=CAP_A|CAP_B|all"]
    );
    assert_eq!(
        in_force("Exec", &[("SystemCallFilter", "~b a"), ("SystemCallFilter", "c")]),
        ["SystemCallFilter=c|~a|~b"]
    );
    assert_eq!(
        in_force(
            "Network",
            &[("Port", "80"), ("Port", "udp:53"), ("Port", "tcp:80:8080"), ("Port", "udp:54:53")]
        ),
        ["Port=tcp:80:80|udp:53:53|udp:54:53"],
    );
    assert_eq!(
        in_force("Files", &[("Bind", "/b"), ("Bind", r"+/a\x:/a:idmap")]),
        ["Bind=+/ax:/a:idmap|/b:/b"]
    );
}

#[test]
fn the_first_start_mode_stays() {
    assert_eq!(in_force("Exec", &[("Boot", "yes"), ("ProcessTwo", "yes"), ("Boot", "no")]), ["Boot=yes"]);
    assert_eq!(
        in_force("Exec", &[("Boot", "no"), ("ProcessTwo", "yes"), ("Boot", "yes")]),
        ["ProcessTwo=yes"]
    );
    assert_eq!(in_force("Exec", &[("ProcessTwo", "no")]), ["Boot=no"]);
}

#[test]
fn the_old_name_sets_the_ownership() {
    assert_eq!(
        in_force("Files", &[("PrivateUsersOwnership", "map"), ("PrivateUsersChown", "yes")]),
        ["PrivateUsersOwnership=chown"],
    );
}

#[test]
fn order_of_sections_and_mounts_does_not_matter() {
    let mut one = UnitFile::default();
    one.section("Files").set("Bind", "/b").set("Bind", "/a");
    one.section("Exec").set("Boot", "yes");
    let mut other = UnitFile::default();
    other.comment("the same");
    other.section("Exec").set("Boot", "true");
    other.section("Files").set("Bind", "/a");
    other.section("Files").set("Bind", "/b:/b");
    assert_eq!(effective(&one), effective(&other));
}

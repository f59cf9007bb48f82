//! What a container's network would cost the network of the host: a networkd that deletes what other programs made. Only
//! the running host is looked at, nothing is changed.

use nixos_nspawn_units::intent::Container;
use serde::Deserialize;

use crate::base::host::Host;
use crate::host::networkd_conf::RULES;
use crate::host::{networkd, networkd_conf};

/// Returns what to know before networkd configures the container's interface: it deletes foreign rules then.
pub(crate) fn foreign_rules(host: &Host, container: &Container) -> Option<String> {
    let deletes = container.has_virtual_ethernet()
        && networkd_conf::manages_foreign(host, RULES)
        && networkd::runs(host);
    let count = if deletes { rules(host) } else { 0 };
    (count > 0).then(|| {
        format!(
            "systemd-networkd deletes the {count} routing policy rules of other programs on this host when it \
             configures the container's interface; to keep them, put '{RULES}=no' below [Network] into a file in \
             /etc/systemd/networkd.conf.d and run 'systemctl restart systemd-networkd'"
        )
    })
}

/// Counts the rules that neither the kernel nor networkd made, as far as `ip` tells.
fn rules(host: &Host) -> usize {
    let of = |family: &str| {
        let answer = host.program("ip").args(["-j", family, "rule"]).output_if_any();
        answer.map_or(0, |answer| foreign(&answer))
    };
    of("-4") + of("-6")
}

fn foreign(answer: &str) -> usize {
    #[derive(Deserialize)]
    struct Rule {
        priority: u32,
        protocol: Option<String>,
    }
    // networkd's own are `static`; others of that mark cannot be told from them.
    let known = |rule: &Rule| {
        matches!(rule.priority, 0 | 32766 | 32767)
            || matches!(rule.protocol.as_deref(), Some("kernel" | "static"))
    };
    let rules: Vec<Rule> = serde_json::from_str(answer).unwrap_or_default();
    rules.iter().filter(|rule| !known(rule)).count()
}

#[cfg(test)]
mod tests {
    use super::foreign;

    #[test]
    fn rules_of_others() {
        let answer = r#"[{"priority":0,"src":"all","table":"local"},
            {"priority":1000,"src":"all","table":"l3mdev","protocol":"kernel"},
            {"priority":5000,"src":"all","fwmark":"0x1","table":"100"},
            {"priority":5001,"src":"10.0.0.0","srclen":8,"table":"101","protocol":"static"},
            {"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]"#;
        assert_eq!(foreign(answer), 1);
        assert_eq!(foreign(""), 0);
    }
}

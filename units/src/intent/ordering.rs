//! The dependencies of a container: other containers by their names, other units by their unit names. Whether a unit
//! exists is known only on the host.

use crate::invalid::Invalid;
use crate::name::MachineName;
use crate::string_type::string_type;

/// The suffixes of units (`systemd.unit(5)`). A name with one of them is a unit, even if it could be a container's.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

string_type! {
    /// The name of a container, or of a unit of the host with its suffix (`postgresql.service`). A container whose name
    /// ends in such a suffix is named by its unit, `systemd-nspawn@NAME.service`.
    Dependency, check_dependency, r"^(?=.{1,255}$)([a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?|[a-zA-Z0-9:_.\\-]([a-zA-Z0-9:_.\\@-]*[a-zA-Z0-9:_.\\-])?\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope))$"
}

fn check_dependency(text: &str) -> Result<(), Invalid> {
    let Some(suffix) = SUFFIXES.iter().find(|suffix| text.ends_with(**suffix)) else {
        return text.parse::<MachineName>().map(|_| ()).map_err(|error| {
            let reason = format!("{}; a unit is named with its suffix, such as '.service'", error.reason);
            Invalid::new(text, reason)
        });
    };
    // As unit_name_is_valid() of systemd: the characters, at most 255 bytes, no template without an instance.
    let prefix = text.strip_suffix(*suffix).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    if prefix.is_empty() || text.len() > 255 || !text.bytes().all(plain) || prefix.starts_with('@') {
        return Err(Invalid::new(text, "is not the name of a unit"));
    }
    if prefix.ends_with('@') {
        return Err(Invalid::new(text, "is a template; it needs an instance after the '@'"));
    }
    Ok(())
}

impl Dependency {
    /// Returns the name of the unit.
    pub fn unit(&self) -> String {
        if self.is_unit() { self.as_str().to_owned() } else { format!("systemd-nspawn@{self}.service") }
    }

    /// Returns the name of the container, written either way.
    pub fn container(&self) -> Option<&str> {
        if self.is_unit() {
            self.as_str().strip_prefix("systemd-nspawn@")?.strip_suffix(".service")
        } else {
            Some(self.as_str())
        }
    }

    fn is_unit(&self) -> bool {
        SUFFIXES.iter().any(|suffix| self.as_str().ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_units() {
        let of = |text: &str| text.parse::<Dependency>().map(|name| name.unit());
        assert_eq!(of("db").unwrap(), "systemd-nspawn@db.service");
        assert_eq!(of("db.example").unwrap(), "systemd-nspawn@db.example.service");
        assert_eq!(of("postgresql.service").unwrap(), "postgresql.service");
        assert_eq!(of("dev-disk-by\\x2dlabel-data.device").unwrap(), "dev-disk-by\\x2dlabel-data.device");
        assert_eq!(of("getty@tty1.service").unwrap(), "getty@tty1.service");
        for bad in
            ["", "a_b", "a b.service", ".service", "x@.service", "@x.service", "%i.service", "a/b.mount"]
        {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        assert!(of(&format!("{}.service", "a".repeat(248))).is_err());
        let container = |text: &str| text.parse::<Dependency>().unwrap().container().map(str::to_owned);
        assert_eq!(container("db").as_deref(), Some("db"));
        assert_eq!(container("systemd-nspawn@x.target.service").as_deref(), Some("x.target"));
        assert_eq!(container("x.target"), None);
    }
}

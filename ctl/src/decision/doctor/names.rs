//! Judges names of containers: whether they are found, and what else they mean.

use std::collections::BTreeMap;

use nixos_nspawn_units::name::MachineName;

use crate::decision::doctor::verdict::{Check, Level, Verdict};
use crate::decision::doctor::words::{containers, quoted};
use crate::fact::doctor::names::{Collisions, Lookup};

/// Judges whether the host finds containers by their names.
pub(crate) fn lookup(seen: &Lookup) -> Verdict {
    const CHECK: Check = Check::of_host("nsswitch");
    const MODULE: &str = "mymachines";
    const FILE: &str = "/etc/nsswitch.conf";
    let services = match &seen.services {
        Ok(services) => services.clone().unwrap_or_default(),
        Err(unseen) => return Verdict::unseen(CHECK, unseen),
    };
    let install = "install libnss-mymachines (Debian), or systemd-container (Fedora)";
    let (text, next) = if !services.iter().any(|service| service == MODULE) {
        let text = format!(
            "{FILE}: '{MODULE}' is not in the line 'hosts:', so the host does not find containers by name"
        );
        let next = match seen.module {
            Some(false) => install.to_owned(),
            _ => format!("put '{MODULE}' before 'resolve' and 'dns' in that line"),
        };
        (text, next)
    } else if seen.module == Some(false) {
        let text =
            format!("libnss_{MODULE}.so.2 is not installed, so the host does not find containers by name");
        (text, install.to_owned())
    } else {
        return Verdict::ok(CHECK, "the host finds containers by their names");
    };
    let level = if seen.needed { Level::Warning } else { Level::Note };
    Verdict::at(level, CHECK, text, next)
        .on_nixos("set system.nssDatabases.hosts = lib.mkBefore [ \"mymachines\" ]")
}

/// Judges what collides.
pub(crate) fn collisions(seen: &Collisions) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("names");
    let Collisions { names, host, hosts, twice, shared, foreign, unseen } = seen;
    let mut verdicts: Vec<Verdict> = twice
        .iter()
        .map(|text| Verdict::warning(CHECK, text, "rename or remove one of the two files"))
        .collect();
    verdicts.extend(foreign.iter().map(|(name, path)| {
        let text =
            format!("{path}: would be used in place of our settings, so container '{name}' does not start");
        Verdict::failure(CHECK, text, format!("rm {}", quoted(path)))
            .on_nixos(format!("remove \"{name}\" from systemd.nspawn"))
    }));
    verdicts.extend(shared.iter().map(|(name, text)| {
        Verdict::warning(CHECK, format!("container '{name}': {text}"), "change one of them, then update it")
    }));
    let mut same: BTreeMap<String, Vec<&MachineName>> = BTreeMap::new();
    for name in names {
        same.entry(name.as_str().to_lowercase()).or_default().push(name);
    }
    verdicts.extend(same.values().filter(|names| names.len() > 1).map(|names| {
        let text =
            format!("{} differ in upper and lower case only, which the DNS ignores", containers(names));
        Verdict::warning(CHECK, text, "create one of them under another name")
    }));
    for name in names {
        let is_like = |other: &str| other.eq_ignore_ascii_case(name.as_str());
        if is_like(host) || is_like(host.split('.').next().unwrap_or_default()) {
            let text = format!("container '{name}' has the name of the host, to which the host resolves it");
            verdicts.push(Verdict::warning(CHECK, text, "create it under another name"));
        } else if hosts.iter().any(|other| is_like(other)) {
            let text =
                format!("/etc/hosts: has an address for '{name}', which may not be that of the container");
            verdicts.push(Verdict::note(CHECK, text, ""));
        }
    }
    verdicts.extend(unseen.iter().map(|unseen| Verdict::unseen(CHECK, unseen)));
    if verdicts.is_empty() {
        verdicts.push(Verdict::ok(CHECK, "no names, interfaces or ports of containers collide"));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::doctor::seen::Unseen;

    #[test]
    fn names_are_found() {
        let with = |services: &[&str], module, needed| Lookup {
            services: Ok(Some(services.iter().map(|word| (*word).to_owned()).collect())),
            module,
            needed,
        };
        for (seen, level, next) in [
            (with(&["mymachines", "files"], Some(true), true), Level::Ok, ""),
            (with(&["mymachines", "files"], None, true), Level::Ok, ""),
            (with(&["files"], Some(true), true), Level::Warning, "put 'mymachines' before"),
            (with(&["files"], Some(true), false), Level::Note, "put 'mymachines' before"),
            (with(&["files"], Some(false), true), Level::Warning, "install libnss-mymachines"),
            (with(&["mymachines"], Some(false), true), Level::Warning, "install libnss-mymachines"),
        ] {
            let verdict = lookup(&seen);
            assert_eq!(verdict.level, level, "{seen:?}");
            assert!(verdict.next.unwrap_or_default().starts_with(next), "{seen:?}");
        }
        let none = Lookup { services: Ok(None), module: Some(true), needed: true };
        assert_eq!(lookup(&none).level, Level::Warning);
        let unseen = Unseen { why: "x".into(), needs_root: true };
        assert_eq!(lookup(&Lookup { services: Err(unseen), ..none }).level, Level::Note);
    }

    #[test]
    fn names_collide() {
        let name = |text: &str| text.parse::<MachineName>().unwrap();
        let web = || Collisions { names: vec![name("web")], host: "host".into(), ..Collisions::default() };
        for (seen, level, said) in [
            (web(), Level::Ok, "no names"),
            (
                Collisions { names: vec![name("web"), name("Web")], ..web() },
                Level::Warning,
                "upper and lower",
            ),
            (Collisions { host: "web.example".into(), ..web() }, Level::Warning, "the name of the host"),
            (Collisions { hosts: vec!["WEB".into()], ..web() }, Level::Note, "/etc/hosts"),
            (Collisions { twice: vec!["x".into()], ..web() }, Level::Warning, "x"),
            (
                Collisions { unseen: vec![Unseen { why: "x".into(), needs_root: true }], ..web() },
                Level::Note,
                "not checked: x",
            ),
            (Collisions { shared: vec![(name("web"), "x".into())], ..web() }, Level::Warning, "'web': x"),
            (
                Collisions { foreign: vec![(name("web"), "/etc/x".into())], ..web() },
                Level::Failure,
                "/etc/x: ",
            ),
        ] {
            let verdicts = collisions(&seen);
            assert_eq!((verdicts.len(), verdicts[0].level), (1, level), "{seen:?}");
            assert!(verdicts[0].text.contains(said), "{}", verdicts[0].text);
        }
    }
}

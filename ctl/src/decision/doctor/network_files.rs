//! Judges whether networkd chooses our files for the interfaces of containers.

use std::collections::BTreeMap;

use crate::base::pattern::is_like;
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::containers;
use crate::fact::doctor::network_files::{HostEnd, NetworkFile, NetworkFiles};

/// Judges the files.
pub(crate) fn network_files(seen: &NetworkFiles) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("network-files");
    let mut others: BTreeMap<&str, Vec<&HostEnd>> = BTreeMap::new();
    for end in &seen.ends {
        let first = seen.files.iter().find(|file| matches(file, &end.interface));
        // What networkd has chosen is certain; what it would choose follows from the files.
        let chosen = end.chosen.as_deref().or(first.map(|file| file.path.as_str()));
        // Without a file of ours, the container has not been started yet.
        if let Some(other) = chosen.filter(|path| *path != end.wanted && before(path, &end.wanted)) {
            others.entry(other).or_default().push(end);
        }
    }
    let verdict = |(path, ends): (&str, Vec<&HostEnd>)| {
        let names: Vec<_> = ends.iter().map(|end| &end.name).collect();
        let file = seen.files.iter().find(|file| file.path == path);
        let own = file.is_some_and(|file| ends.iter().all(|end| names_it(file, &end.interface)));
        let text =
            format!("{path}: is used for the interface of {}, in place of our file", containers(&names));
        match own {
            // Somebody has written it for containers.
            true => Verdict::note(CHECK, text, ""),
            false => Verdict::warning(
                CHECK,
                format!("{text}, so they may have no network"),
                format!(
                    "limit [Match] of {path} to the interfaces that it is for, then run 'networkctl reload'"
                ),
            )
            .on_nixos(format!(
                "limit matchConfig of systemd.network.networks.\"{}\" to the interfaces that it is for",
                path.rsplit('/').next().unwrap_or_default().trim_end_matches(".network")
            )),
        }
    };
    let mut verdicts: Vec<Verdict> = others.into_iter().map(verdict).collect();
    // Without interfaces, it does not matter what they say.
    let unseen = seen.unseen.first().filter(|_| !seen.ends.is_empty());
    verdicts.extend(unseen.map(|unseen| Verdict::unseen(CHECK, unseen)));
    if verdicts.is_empty() {
        let text = match seen.ends.len() {
            0 => "no container has an interface that systemd-networkd configures",
            _ => "no other .network file takes the interfaces of containers",
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

/// Returns whether networkd considers a file before another: by the file names, in any directory.
fn before(path: &str, other: &str) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    name(path) < name(other)
}

/// Returns whether [Match] names interfaces of containers.
fn names_it(file: &NetworkFile, interface: &str) -> bool {
    let names =
        file.matches.iter().filter(|(key, _)| key == "Name").flat_map(|(_, value)| value.split_whitespace());
    names.into_iter().any(|name| name.starts_with("ve-") && is_like(interface, name))
}

/// Returns whether [Match] matches the interface, a virtual Ethernet link. What is said about the host itself is taken
/// as true.
fn matches(file: &NetworkFile, interface: &str) -> bool {
    // Later assignments add to a list; an empty one clears it.
    let mut settings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in &file.matches {
        let words = settings.entry(key).or_default();
        match value.is_empty() {
            true => words.clear(),
            false => words.extend(value.split_whitespace()),
        }
    }
    settings.retain(|_, words| !words.is_empty());
    let applies = |(key, words): (&&str, &Vec<&str>)| match *key {
        "Name" => any_of(words, interface),
        "Kind" | "Driver" => any_of(words, "veth"),
        "Type" => any_of(words, "ether"),
        "Host" | "Virtualization" | "KernelCommandLine" | "KernelVersion" | "Credential" | "Architecture"
        | "Firmware" | "Version" => true,
        // MACAddress=, Path=, SSID= and the like: a virtual link has none that could be known before.
        _ => false,
    };
    // An empty section matches nothing.
    !settings.is_empty() && settings.iter().all(applies)
}

/// Returns whether one of the patterns is like the text; a `!` before the first inverts them.
fn any_of(words: &[&str], text: &str) -> bool {
    match words {
        [first, rest @ ..] if first.starts_with('!') => {
            !is_like(text, &first[1..]) && !rest.iter().any(|word| is_like(text, word))
        }
        words => words.iter().any(|word| is_like(text, word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;

    fn file(path: &str, matches: &[(&str, &str)]) -> NetworkFile {
        let matches = matches.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        NetworkFile { path: path.into(), matches: matches.collect() }
    }

    fn seen(files: Vec<NetworkFile>, chosen: Option<&str>) -> NetworkFiles {
        let end = HostEnd {
            name: "web".parse().unwrap(),
            interface: "ve-web".into(),
            wanted: "/run/systemd/network/50-nixos-nspawn-web.network".into(),
            chosen: chosen.map(str::to_owned),
        };
        NetworkFiles { files, ends: vec![end], unseen: Vec::new() }
    }

    #[test]
    fn what_a_section_matches() {
        for (settings, expected) in [
            (&[("Name", "*")][..], true),
            (&[("Name", "en* ve-*")], true),
            (&[("Name", "eth0")], false),
            (&[("Name", "!eth0 lo")], true),
            (&[("Name", "!ve-* lo")], false),
            (&[("Type", "ether")], true),
            (&[("Type", "wlan")], false),
            (&[("Kind", "veth"), ("Name", "v*")], true),
            (&[("Driver", "e1000")], false),
            (&[("Name", "*"), ("Virtualization", "!container")], true),
            (&[("Name", "*"), ("MACAddress", "00:11:22:33:44:55")], false),
            (&[("Name", "*"), ("Name", "")], false),
            (&[], false),
        ] {
            assert_eq!(matches(&file("x", settings), "ve-web"), expected, "{settings:?}");
        }
    }

    #[test]
    fn files_in_place_of_ours() {
        let own = || file("/run/systemd/network/50-nixos-nspawn-web.network", &[("Name", "ve-web")]);
        let shipped = || file("/usr/lib/systemd/network/80-container-ve.network", &[("Name", "ve-*")]);
        let all = || file("/etc/systemd/network/20-all.network", &[("Type", "ether")]);
        let ours = || file("/etc/systemd/network/20-ve.network", &[("Name", "ve-*")]);
        let level = |seen: NetworkFiles| network_files(&seen)[0].level;
        assert_eq!(level(NetworkFiles::default()), Level::Ok);
        assert_eq!(level(seen(vec![own(), shipped()], None)), Level::Ok);
        assert_eq!(level(seen(vec![shipped()], None)), Level::Ok, "it has not been started");
        assert_eq!(level(seen(vec![all(), own()], None)), Level::Warning);
        assert_eq!(level(seen(vec![ours(), own()], None)), Level::Note);
        let chosen = "/run/systemd/network/50-nixos-nspawn-web.network";
        assert_eq!(level(seen(vec![all(), own()], Some(chosen))), Level::Ok, "networkd says otherwise");
        let verdict = &network_files(&seen(vec![own()], Some("/etc/systemd/network/10-x.network")))[0];
        assert_eq!(
            verdict.text,
            "/etc/systemd/network/10-x.network: is used for the interface of container 'web', in place of our file, so \
             they may have no network"
        );
    }
}

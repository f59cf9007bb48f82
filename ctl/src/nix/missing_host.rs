//! Tells the name of a host that does not exist from a missing network: other names that the flake uses can be found then.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::host::Host;

/// How long the search for a name may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many other names are tried.
const TRIED: usize = 3;

/// What precedes the name in messages of curl, Git and ssh. Other texts of theirs begin alike.
const BEFORE: [&str; 3] = ["resolve host: ", "resolve hostname ", "resolve host '"];

/// Returns the host that could not be found, from the messages of Nix.
pub(crate) fn missing_host(messages: &str) -> Option<String> {
    let name = BEFORE.iter().find_map(|before| {
        let rest = messages.split_once(before)?.1;
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c))).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.')).filter(|name| !name.is_empty())
    });
    // Some versions of curl do not name it.
    let of_url = || {
        messages.lines().find(|line| line.contains("resolve host")).and_then(|line| hosts(line).pop_first())
    };
    name.map(str::to_owned).or_else(of_url)
}

/// Returns the hosts that references name, such as those in a lock file.
pub(crate) fn hosts(text: &str) -> BTreeSet<String> {
    let after = text.split("://").skip(1).filter_map(|rest| {
        let place = rest.split(['/', '"', '\'', '?', '#', ' ', '\\']).next()?;
        let name = place.rsplit('@').next()?.split(':').next()?;
        Some(name.to_owned())
    });
    let forges = [("github", "github.com"), ("gitlab", "gitlab.com"), ("sourcehut", "git.sr.ht")];
    let named =
        |forge: &str| text.starts_with(&format!("{forge}:")) || text.contains(&format!("\"{forge}\""));
    let of_forges = forges.iter().filter(|(forge, _)| named(forge)).map(|(_, host)| (*host).to_owned());
    let is_name = |name: &String| name.contains('.') && name.parse::<IpAddr>().is_err();
    after.chain(of_forges).filter(is_name).collect()
}

/// Returns another host that can be found, if the missing one is not the flake's own: then there is a network. `others` is
/// text with references.
pub(crate) fn found_instead(host: &Host, missing: &str, reference: &str, others: &str) -> Option<String> {
    let own = hosts(reference);
    if own.contains(missing) {
        return None;
    }
    let mut known = own.into_iter().chain(hosts(others)).filter(|name| name != missing).take(TRIED);
    known.find(|name| {
        let call = host.program("getent").args(["ahosts", name]).limit(PATIENCE);
        call.output_if_any().is_some_and(|answer| !answer.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_host_is_named() {
        for text in [
            "error: unable to download 'https://no.example/x': Could not resolve host: no.example (6)",
            "unable to download 'https://no.example/x': Couldn't resolve host name (6)",
            "unable to download 'https://no.example/x': Could not resolve hostname (6)",
            "fatal: unable to access 'https://no.example/r/': Could not resolve host: no.example",
            "ssh: Could not resolve hostname no.example: Name or service not known",
        ] {
            assert_eq!(missing_host(text).as_deref(), Some("no.example"), "{text}");
        }
        assert_eq!(missing_host("error: unable to download 'https://h.example/x': HTTP error 404"), None);
    }

    #[test]
    fn hosts_of_references() {
        let found = |text: &str| hosts(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found("git+ssh://git@one.example:22/r?ref=main"), ["one.example"]);
        assert_eq!(found("github:me/infra"), ["github.com"]);
        let lock = r#"{"type":"github","url":"https://two.example/x.tar.gz"} {"url":"http://10.0.0.1/x"}"#;
        assert_eq!(found(lock), ["github.com", "two.example"]);
        assert!(found("/home/alice/infra").is_empty());
    }
}

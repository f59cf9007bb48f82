//! Commands for other hosts: whom to ask, with which words, and whether the program there understands them.

use std::fmt;
use std::net::Ipv6Addr;

/// Another host, as ssh is asked for it: `[USER@]HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What was given.
    given: String,
    /// `[USER@]HOST`.
    pub(crate) destination: String,
    pub(crate) port: Option<u16>,
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.given)
    }
}

impl Target {
    /// Parses what `--host` was given. Nothing in it can become an option of ssh.
    pub(crate) fn parse(given: &str) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("'{}' {why}", given.escape_debug()));
        let (user, rest) = match given.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, given),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if user.is_some_and(|user| user.is_empty() || user.starts_with('-') || !user.chars().all(good)) {
            return refused("has no valid user before the '@'");
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, "")) => (address, None),
            Some((address, behind)) => match behind.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None => return refused("is not [USER@]HOST[:PORT]"),
            },
            // More than one colon is an address of IPv6.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let address = host.split('%').next().unwrap_or(host).parse::<Ipv6Addr>().is_ok();
        let named = host.chars().all(good) || address && host.chars().all(|c| good(c) || ":%".contains(c));
        if host.is_empty() || host.starts_with('-') || !named {
            return refused("is not the name or address of a host");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return refused("has no port from 1 to 65535 behind the ':'"),
        };
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        Ok(Self { given: given.to_owned(), destination: format!("{user}{host}"), port })
    }

    /// Returns the store that Nix copies to.
    pub(crate) fn store(&self) -> String {
        let (user, host) = self.destination.rsplit_once('@').unwrap_or(("", &self.destination));
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        format!("ssh-ng://{user}{host}")
    }
}

/// Returns the hosts that a file lists, one per line. What follows a `#` is a comment.
pub(crate) fn listed(text: &str) -> Result<Vec<Target>, String> {
    let lines = text.lines().enumerate().map(|(number, line)| {
        let name = line.split('#').next().unwrap_or_default().trim();
        (number + 1, name)
    });
    let named = lines.filter(|(_, name)| !name.is_empty());
    named.map(|(number, name)| Target::parse(name).map_err(|why| format!("{number}: {why}"))).collect()
}

/// The options that say on which hosts a command runs; each takes a value.
const HOSTS: [&str; 2] = ["--host", "--hosts-file"];

/// Returns the words of a command line without those that say on which hosts it runs, for these hosts.
pub(crate) fn words(given: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    let mut given = given.iter();
    while let Some(word) = given.next() {
        if word == "--" {
            words.push(word.clone());
            words.extend(given.cloned());
            break;
        }
        let name = word.split('=').next().unwrap_or(word);
        if HOSTS.contains(&name) {
            if name == word {
                given.next();
            }
            continue;
        }
        // Among short options, -H takes the rest of the word, or the next one.
        let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        match short.and_then(|short| short.split_once('H')) {
            Some((before, behind)) if before.chars().all(|c| FLAGS.contains(c)) => {
                if behind.is_empty() {
                    given.next();
                }
                if !before.is_empty() {
                    words.push(format!("-{before}"));
                }
            }
            _ => words.push(word.clone()),
        }
    }
    words
}

/// The short options without a value.
pub(crate) const FLAGS: &str = "vnqhVf";

/// Returns the words without an option that takes a value.
pub(crate) fn without(words: &[String], option: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            left.push(word.clone());
            left.extend(rest.cloned());
            break;
        }
        if word == option {
            rest.next();
        } else if !word.strip_prefix(option).is_some_and(|value| value.starts_with('=')) {
            left.push(word.clone());
        }
    }
    left
}

/// Returns the words without an option that takes none.
pub(crate) fn without_flag(words: &[String], flag: &str) -> Vec<String> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let kept = words.iter().enumerate().filter(|(at, word)| *at >= end || *word != flag);
    kept.map(|(_, word)| word.clone()).collect()
}

/// How the program there becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Not at all: it only reads.
    Own,
    /// By sudo, which may ask for a password on a terminal.
    Asking,
    /// By sudo, which may not ask: it has no terminal.
    Silent,
}

/// Returns the line for the shell there that asks for the version.
pub(crate) fn version_line() -> String {
    let script = format!("{PLACES} exec nixos-nspawn --version");
    format!("exec sh -c {}", quoted(&script))
}

/// ssh gives a command the PATH of the system alone, and sudo its own.
const PLACES: &str = "PATH=$PATH:/usr/local/bin:/usr/local/sbin:/run/current-system/sw/bin; export PATH;";

/// Returns the line for the shell there that runs the program with these words.
pub(crate) fn line(words: &[String], rights: Rights) -> String {
    let unless_root =
        |sudo: &str| format!("if [ \"$(id -u)\" != 0 ] && command -v sudo >/dev/null; then {sudo}; fi; ");
    let become_root = match rights {
        Rights::Own => String::new(),
        Rights::Asking => unless_root("exec sudo -- \"$p\" \"$@\""),
        // sudo's own words are followed by what to do.
        Rights::Silent => unless_root(
            "sudo -n -- \"$p\" \"$@\"; s=$?; if [ $s = 1 ] && ! sudo -n -l \"$p\" >/dev/null 2>&1; then \
             echo \"log in as root, or let sudoers(5) there allow user $(id -un) to run $p without a password\" >&2; \
             fi; exit $s",
        ),
    };
    let script = format!(
        "{PLACES} p=$(command -v nixos-nspawn) || {{ echo 'nixos-nspawn is not installed' >&2; exit 127; }}; \
         {become_root}exec \"$p\" \"$@\""
    );
    let words = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    format!("exec sh -c {} nixos-nspawn {words}", quoted(&script))
}

/// Returns a word as a shell reads it unchanged. To fish, unlike others, a backslash means something in single quotes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => {
            let parts =
                word.split_inclusive(['\'', '\\']).map(|part| match part.strip_suffix(['\'', '\\']) {
                    Some(before) => format!("{before}'\\{}'", &part[before.len()..]),
                    None => part.to_owned(),
                });
            format!("'{}'", parts.collect::<String>())
        }
    }
}

/// A version of the program.
pub(crate) type Version = (u64, u64, u64);

/// Returns the version in the first line of what `--version` prints.
pub(crate) fn version(text: &str) -> Option<Version> {
    let mut numbers = text.lines().next()?.split(' ').nth(1)?.split(['.', '-', '+']).map(str::parse::<u64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Returns why a program cannot be given the words of this one: before 1.0, each minor version may change them.
pub(crate) fn too_old(own: Version, theirs: Version) -> Option<String> {
    let text = |(major, minor, patch): Version| format!("{major}.{minor}.{patch}");
    let older = (theirs.0, theirs.1) < (own.0, own.1);
    older.then(|| format!("nixos-nspawn there is {}, older than {} here", text(theirs), text(own)))
}

#[cfg(test)]
mod tests;

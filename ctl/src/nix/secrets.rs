//! Hides secrets in arguments for Nix and in references before they are shown.

use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::value::Text;

/// The text shown in place of a secret.
const MASK: &str = "***";

/// Settings of nix.conf(5) whose values are secret.
const SECRET: [&str; 4] = ["access-tokens", "extra-access-tokens", "netrc-file", "secret-key-files"];

/// Returns the source with its secrets hidden.
pub(crate) fn masked(source: &Source) -> Source {
    let text = |text: &Text| text.as_str().to_owned();
    let hidden = |text: String, before: &Text| text.parse().unwrap_or_else(|_| before.clone());
    let reference = |before: &Option<Text>| {
        before.as_ref().map(|before| hidden(without_password(before.as_str()), before))
    };
    let words: Vec<String> = source.nix_args.iter().map(text).collect();
    let words = arguments(&words).into_iter().zip(&source.nix_args);
    Source {
        flake: reference(&source.flake),
        locked: reference(&source.locked),
        nixpkgs: reference(&source.nixpkgs),
        nix_args: words.map(|(word, before)| hidden(word, before)).collect(),
        ..source.clone()
    }
}

/// Returns arguments for Nix with the values of secret settings hidden: `--access-tokens VALUE` and `--option
/// access-tokens VALUE`.
fn arguments(words: &[String]) -> Vec<String> {
    let mut secret = false;
    let mut shown = Vec::new();
    for word in words {
        let value = std::mem::replace(&mut secret, SECRET.contains(&word.trim_start_matches("--")));
        shown.push(if value { hide(word) } else { without_password(word) });
    }
    shown
}

/// Hides a value, but keeps the host's name in `github.com=TOKEN …`.
fn hide(value: &str) -> String {
    let one = |token: &str| match token.split_once('=') {
        Some((host, _)) => format!("{host}={MASK}"),
        None => MASK.to_owned(),
    };
    value.split_whitespace().map(one).collect::<Vec<_>>().join(" ")
}

/// Hides the part before the host's name in a URL, unless it is a user name without a password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user, _)) if user.contains(':') || scheme.ends_with("https") => {
            format!("{scheme}://{MASK}{}", &rest[user.len()..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (given, expected) in [
            ("--impure --access-tokens github.com=ghp_x -L", "--impure --access-tokens github.com=*** -L"),
            ("--option access-tokens github.com=x", "--option access-tokens github.com=***"),
            (
                "--override-input a git+https://me:pw@h/r?ref=x",
                "--override-input a git+https://***@h/r?ref=x",
            ),
            ("--override-input a https://token@h/r", "--override-input a https://***@h/r"),
            ("--override-input a git+ssh://git@h/r", "--override-input a git+ssh://git@h/r"),
            ("--option cores 4", "--option cores 4"),
        ] {
            assert_eq!(arguments(&words(given)), words(expected), "{given}");
        }
        assert_eq!(hide("a=1 b=2"), "a=*** b=***");
    }
}

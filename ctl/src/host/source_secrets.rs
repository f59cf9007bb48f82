//! Hides secrets in arguments for Nix and in references before they are shown.

use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::value::Text;

use crate::base::secrets::{hide, is_secret, without_password};

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

/// Returns whether a source has secrets, so that only root may read it.
pub(crate) fn has_secrets(source: &Source) -> bool {
    masked(source) != *source
}

/// Returns arguments for Nix with the values of secret settings hidden: `--access-tokens VALUE` and `--option
/// access-tokens VALUE`.
fn arguments(words: &[String]) -> Vec<String> {
    let mut secret = false;
    let mut shown = Vec::new();
    for word in words {
        let value = std::mem::replace(&mut secret, is_secret(word));
        shown.push(if value { hide(word) } else { without_password(word) });
    }
    shown
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
    }
}

//! Hides secrets in texts before anybody sees them: passwords in URLs and access tokens.

/// What is shown in place of a secret.
pub(crate) const MASK: &str = "***";

/// Settings of nix.conf(5) whose values are secret.
const SECRET: [&str; 4] = ["access-tokens", "extra-access-tokens", "netrc-file", "secret-key-files"];

/// What ends the part of a URL that has the host's name.
const END_OF_AUTHORITY: [char; 3] = ['/', '?', '#'];

/// What may follow a host's name in a message. A password may have it as well.
const PUNCTUATION: [char; 3] = ['\'', '"', ','];

/// Returns whether a word names a secret setting, as `--access-tokens` does.
pub(crate) fn is_secret(word: &str) -> bool {
    SECRET.contains(&word.trim_start_matches("--"))
}

/// Hides a value; of `github.com=TOKEN …` the host's name stays.
pub(crate) fn hide(value: &str) -> String {
    let one = |token: &str| match token.split_once('=') {
        Some((host, _)) => format!("{host}={MASK}"),
        None => MASK.to_owned(),
    };
    value.split_whitespace().map(one).collect::<Vec<_>>().join(" ")
}

/// Hides what stands before the host's name in URLs, unless it is a user's name without a password.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, after) = rest.split_at(authority(rest).len());
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') || scheme.ends_with("http") || scheme.ends_with("https") => {
            format!("{MASK}@{host}")
        }
        _ => authority.to_owned(),
    };
    format!("{scheme}://{shown}{}", without_password(after))
}

/// Returns the part with the host's name of what follows `://`.
fn authority(rest: &str) -> &str {
    let whole = rest.split(END_OF_AUTHORITY).next().unwrap_or(rest);
    let host = whole.rfind('@').map_or(0, |at| at + 1);
    let end = whole[host..].find(PUNCTUATION).map_or(whole.len(), |at| host + at);
    &whole[..end]
}

/// Returns a text whose secrets were hidden with what another text has before the same hosts' names.
pub(crate) fn with_password(hidden: &str, of: &str) -> String {
    let mut text = hidden.to_owned();
    for rest in of.split("://").skip(1) {
        let authority = authority(rest);
        if let Some((_, host)) = authority.rsplit_once('@') {
            text = text.replace(&format!("://{MASK}@{host}"), &format!("://{authority}"));
        }
    }
    text
}

/// Hides the secrets in a message.
pub(crate) fn without_secrets(text: &str) -> String {
    without_secrets_after(text, &mut false)
}

/// Hides the secrets in a part of a message. `secret` is whether the part before ended in a setting whose value is secret.
pub(crate) fn without_secrets_after(text: &str, secret: &mut bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let plain = word.trim_matches(['\'', '"', '`', ',', ';']);
        let token = *secret && plain.contains('=') && !plain.starts_with('-') && plain != "=";
        shown.push_str(&if token { hide(word) } else { without_password(word) });
        shown.push_str(&piece[word.len()..]);
        *secret = token || *secret && (plain == "=" || plain.is_empty()) || is_secret(plain);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_messages_are_hidden() {
        for (given, expected) in [
            (
                "nix build: 'git+https://me:pw@h/r?ref=x' failed\n  at https://t@h/r,http://a:b@c",
                "nix build: 'git+https://***@h/r?ref=x' failed\n  at https://***@h/r,http://***@c",
            ),
            (
                "nix --access-tokens github.com=a gitlab.com=b -L",
                "nix --access-tokens github.com=*** gitlab.com=*** -L",
            ),
            ("'access-tokens' = github.com=a", "'access-tokens' = github.com=***"),
            ("see access-tokens in nix.conf(5)", "see access-tokens in nix.conf(5)"),
            ("git+ssh://git@h/r: mail me@h", "git+ssh://git@h/r: mail me@h"),
            ("'git+https://me:p,w'x@h/r', \"https://a:b'@c\"", "'git+https://***@h/r', \"https://***@c\""),
            ("https://h, https://a,b:c@d", "https://h, https://***@d"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(given), expected, "{given}");
        }
        assert_eq!(hide("a=1 b=2"), "a=*** b=***");
    }

    #[test]
    fn hidden_passwords_are_found_again() {
        let flake = "git+https://me:p%40w@h.example:8443/r?ref=main#web";
        let locked = "git+https://me:p%40w@h.example:8443/r?ref=main&rev=af3d";
        let odd = "git+https://me:p,w'@h.example/r";
        assert_eq!(with_password(&without_password(odd), odd), odd);
        let hidden = without_password(locked);
        assert_eq!(hidden, "git+https://***@h.example:8443/r?ref=main&rev=af3d");
        assert_eq!(with_password(&hidden, flake), locked);
        for other in ["git+https://me:pw@other.example/r", "git+https://h.example/r", "/root/flake", ""] {
            assert_eq!(with_password(&hidden, other), hidden, "{other}");
        }
        assert_eq!(with_password("path:/nix/store/x?narHash=y", flake), "path:/nix/store/x?narHash=y");
    }
}

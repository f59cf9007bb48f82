//! Refuses paths with a leading `~`. The shell replaces it only at the start of a word, not in `--flake=~/x` or
//! `path:~/x`, and what reaches this program would be a directory named `~`, or another user's home under sudo.

use std::env;
use std::path::Path;

use anyhow::Result;

use crate::base::exit::unchanged;
use crate::base::tree::{open_below, read_regular};

/// Refuses a reference whose path begins with `~`; `path` is that part of it.
pub(crate) fn check(reference: &str, path: &str) -> Result<()> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(()) };
    let (user, below) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let next = match home(user) {
        Some(home) => {
            let before = reference.strip_suffix(path).unwrap_or_default();
            format!("name the absolute path, such as {before}{}{below}", home.trim_end_matches('/'))
        }
        None => "name the absolute path".to_owned(),
    };
    unchanged(format!("{reference}: begins with '~', which the shell did not replace"), next)
}

/// Like `check`, for a path that is not part of a reference.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    path.to_str().map_or(Ok(()), |path| check(path, path))
}

/// Returns the home directory of a user; that of the caller, also of the caller of sudo, if no name is given.
pub(crate) fn home(user: &str) -> Option<String> {
    let users =
        open_below(Path::new("/"), Path::new("/etc/passwd")).and_then(read_regular).unwrap_or_default();
    let users = String::from_utf8_lossy(&users);
    match (user, env::var("SUDO_UID")) {
        ("", Err(_)) => env::var("HOME").ok().filter(|home| home.starts_with('/')),
        ("", Ok(id)) => home_of(&users, 2, &id),
        (user, _) => home_of(&users, 0, user),
    }
}

/// Returns the home directory in the line of passwd(5) whose field `at` is `value`.
fn home_of(users: &str, at: usize, value: &str) -> Option<String> {
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(at) == Some(&value))?;
    line.get(5).filter(|home| home.starts_with('/')).map(|home| (*home).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_refused() {
        // Builds of packages have one that is not /root.
        let home = home("root").unwrap();
        let message = |reference: &str, path: &str| check(reference, path).unwrap_err().to_string();
        let why =
            "begins with '~', which the shell did not replace, nothing was changed; name the absolute path";
        assert_eq!(message("path:~root/x?dir=a", "~root/x?dir=a"), {
            format!("path:~root/x?dir=a: {why}, such as path:{home}/x?dir=a")
        });
        assert_eq!(message("~nobody-has-this/x", "~nobody-has-this/x"), format!("~nobody-has-this/x: {why}"));
        assert!(message("~", "~").starts_with(&format!("~: {why}")));
        assert!(check("./~/x", "./~/x").is_ok() && check("github:a/~b", "github:a/~b").is_ok());
        assert!(check_path(Path::new("/srv/~x")).is_ok() && check_path(Path::new("~/x.nix")).is_err());
    }

    #[test]
    fn homes_are_those_of_passwd() {
        let users =
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000:A,,:/home/alice:/bin/sh\nodd:x:7:7::none:\n+\n";
        assert_eq!(home_of(users, 2, "1000").as_deref(), Some("/home/alice"));
        assert_eq!(home_of(users, 0, "root").as_deref(), Some("/root"));
        assert_eq!((home_of(users, 0, "odd"), home_of(users, 0, "bob")), (None, None));
    }
}

//! Makes paths in references and arguments for Nix absolute, so that a record has the same meaning in any directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::base::exit::unchanged;
use crate::base::tilde;

/// Schemes of references that name a path of this host.
const LOCAL: [&str; 6] = ["path:", "git+file:", "hg+file:", "tarball+file:", "file+file:", "file:"];

/// Returns the reference with an absolute path, if it names a relative one.
pub(crate) fn absolute(reference: &str, folder: &Path) -> Result<String> {
    let scheme = LOCAL.iter().find(|scheme| reference.starts_with(**scheme)).copied().unwrap_or_default();
    let rest = &reference[scheme.len()..];
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    tilde::check(reference, rest)?;
    let local =
        reference.is_empty() || rest.starts_with('.') || (!scheme.is_empty() && !rest.starts_with('/'));
    if !local {
        return Ok(reference.to_owned());
    }
    resolved(scheme, rest, folder)
}

/// Returns the reference with the path as it is on the disk, without links, if it names one.
pub(crate) fn canonical(reference: &str) -> Result<String> {
    if local_path(reference).is_none() {
        return Ok(reference.to_owned());
    }
    let scheme = LOCAL.iter().find(|scheme| reference.starts_with(**scheme)).copied().unwrap_or_default();
    let rest = &reference[scheme.len()..];
    resolved(scheme, rest.strip_prefix("//").unwrap_or(rest), Path::new("/"))
}

/// Returns a reference whose path exists, from its scheme and the rest.
fn resolved(scheme: &str, rest: &str, folder: &Path) -> Result<String> {
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (rest, String::new()),
    };
    let path: PathBuf = std::path::absolute(folder.join(path))?;
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => return unchanged(not_found(&path), ""),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be resolved", path.display())),
    };
    let path = path.to_str().with_context(|| format!("{}: is not UTF-8", path.display()))?;
    let slashes = if ["", "path:"].contains(&scheme) { "" } else { "//" };
    Ok(format!("{scheme}{slashes}{path}{query}"))
}

/// Returns an argument for Nix with an absolute path, if it names a relative one.
pub(crate) fn absolute_argument(word: &str, folder: &Path) -> Result<String> {
    // -I NAME=PATH
    let (name, value) = match word.split_once('=') {
        Some((name, value)) if !name.contains(['/', ':']) => (Some(name), value),
        _ => (None, word),
    };
    if value == "~" || value.starts_with('~') && value.contains('/') {
        tilde::check(value, value)?;
    }
    let relative = [".", ".."].contains(&value) || value.starts_with("./") || value.starts_with("../");
    let local = LOCAL.iter().find_map(|scheme| value.strip_prefix(scheme));
    let is_relative =
        |rest: &str| !rest.starts_with('/') || rest.starts_with("//.") || rest.starts_with("//~");
    if !relative && !local.is_some_and(is_relative) {
        return Ok(word.to_owned());
    }
    let (reference, attribute) = match value.split_once('#') {
        Some((reference, attribute)) => (reference, format!("#{attribute}")),
        None => (value, String::new()),
    };
    let value = absolute(reference, folder)?;
    let name = name.map(|name| format!("{name}=")).unwrap_or_default();
    Ok(format!("{name}{value}{attribute}"))
}

/// Returns the path of this host that a reference names.
pub(crate) fn local_path(reference: &str) -> Option<&Path> {
    let rest = LOCAL.iter().find_map(|scheme| reference.strip_prefix(scheme)).unwrap_or(reference);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split(['?', '#']).next().unwrap_or(rest);
    path.starts_with('/').then(|| Path::new(path))
}

/// Returns the reason for refusing a path that does not exist.
pub(crate) fn not_found(path: &Path) -> String {
    format!("{}: there is no such flake", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_become_absolute_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        std::fs::create_dir(here.join("sub")).unwrap();
        let at = here.display();
        for (word, expected) in [
            (".", format!("{at}")),
            ("./sub", format!("{at}/sub")),
            ("sub/../.", "sub/../.".to_owned()),
            ("nixpkgs=./sub", format!("nixpkgs={at}/sub")),
            ("path:sub", format!("path:{at}/sub")),
            ("path:./sub?dir=x#y", format!("path:{at}/sub?dir=x#y")),
            ("git+file:sub", format!("git+file://{at}/sub")),
            ("git+file://./sub", format!("git+file://{at}/sub")),
            ("git+file:///srv/x", "git+file:///srv/x".to_owned()),
            ("github:me/infra", "github:me/infra".to_owned()),
            ("--override-input", "--override-input".to_owned()),
            ("https://x/?a=./b", "https://x/?a=./b".to_owned()),
        ] {
            assert_eq!(absolute_argument(word, &here).unwrap(), expected, "{word}");
        }
        assert!(absolute_argument("./none", &here).is_err());
        // Also where a directory has this name.
        std::fs::create_dir_all(here.join("~/x")).unwrap();
        for word in ["~", "~/x", "~root/x#y", "path:~/x", "git+file:~/x", "git+file://~root/x", "nixpkgs=~/x"]
        {
            let said = absolute_argument(word, &here).unwrap_err().to_string();
            assert!(said.contains("begins with '~', which the shell did not replace"), "{word}: {said}");
        }
        for word in ["~1.2", "github:me/~x", "git+ssh://h/~/x", "--argstr"] {
            assert_eq!(absolute_argument(word, &here).unwrap(), word);
        }
        assert_eq!(absolute_argument("./~/x", &here).unwrap(), format!("{at}/~/x"));
    }

    #[test]
    fn one_spelling_of_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        std::fs::create_dir(here.join("real")).unwrap();
        std::os::unix::fs::symlink("real", here.join("link")).unwrap();
        let at = here.display();
        for (given, expected) in [
            (format!("{at}/real/"), format!("{at}/real")),
            (format!("{at}/link"), format!("{at}/real")),
            (format!("path:{at}/link?dir=x"), format!("path:{at}/real?dir=x")),
            (format!("git+file://{at}/real/../link"), format!("git+file://{at}/real")),
            ("github:me/infra".to_owned(), "github:me/infra".to_owned()),
        ] {
            assert_eq!(canonical(&given).unwrap(), expected, "{given}");
        }
        assert!(canonical(&format!("{at}/none")).is_err());
    }

    #[test]
    fn local_paths() {
        for reference in ["/srv/x", "path:/srv/x?dir=y", "git+file:///srv/x?ref=z", "git+file:/srv/x#a"] {
            assert_eq!(local_path(reference), Some(Path::new("/srv/x")), "{reference}");
        }
        assert_eq!((local_path("github:me/infra"), local_path("nixpkgs")), (None, None));
    }
}

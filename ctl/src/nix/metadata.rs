//! Parses the output of `nix flake metadata`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::call::Ended;
use crate::base::exit::Failed;
use crate::nix::cause::used_cache;
use crate::nix::missing_host::missing_host;

/// A flake at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The reference with its revision or hash, to record.
    pub(crate) locked: String,
    /// The reference to evaluate and build. It is the copy in the store where `locked` would be read again and may
    /// have changed.
    pub(crate) reference: String,
    /// The revisions of the inputs, as Nix lists them.
    pub(crate) inputs: String,
    /// The copy in the store.
    pub(crate) path: Option<PathBuf>,
    /// Why the revision was not refreshed, if it may be out of date.
    pub(crate) stale: Option<String>,
}

/// Parses the output of `nix flake metadata --json`.
pub(crate) fn read(ended: &Ended) -> Result<Resolved, Failed> {
    let unexpected = || Failed::Program("nix flake metadata: unexpected answer".to_owned());
    let answer: Value = serde_json::from_str(&ended.stdout).map_err(|_| unexpected())?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let locked = text(answer.get("url")).ok_or_else(unexpected)?;
    let reference = in_store(&answer, &locked).unwrap_or_else(|| locked.clone());
    let path = text(answer.get("path")).map(PathBuf::from);
    let inputs = answer.get("locks").map(Value::to_string).unwrap_or_default();
    let stale = used_cache(&ended.stderr).then(|| match missing_host(&ended.stderr) {
        Some(host) => format!("host '{host}' cannot be found"),
        None => "a server could not be reached".to_owned(),
    });
    Ok(Resolved { locked, reference, inputs, path, stale })
}

/// Returns the copy in the store of a flake without a revision, that is, of a directory or a dirty checkout, which
/// may change before it is evaluated.
fn in_store(answer: &Value, locked: &str) -> Option<String> {
    let part = |key: &str| answer.get("locked").and_then(|locked| locked.get(key));
    let local = ["path:", "git+file:", "hg+file:", "/"].iter().any(|scheme| locked.starts_with(scheme));
    if !local || part("rev").is_some() {
        return None;
    }
    let path = answer.get("path")?.as_str().filter(|path| Path::new(path).starts_with("/nix/store"))?;
    let mut query = Vec::new();
    if let Some(folder) = part("dir").and_then(Value::as_str) {
        query.push(format!("dir={}", encoded(folder)));
    }
    if let Some(time) = part("lastModified").or_else(|| answer.get("lastModified")).and_then(Value::as_u64) {
        query.push(format!("lastModified={time}"));
    }
    if let Some(hash) = part("narHash").and_then(Value::as_str) {
        query.push(format!("narHash={}", encoded(hash)));
    }
    Some(format!("path:{path}?{}", query.join("&")))
}

/// Encodes a value for the query of a URL (RFC 3986).
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    value
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn resolved(stdout: &str, stderr: &str) -> Resolved {
        let status = ExitStatus::from_raw(0);
        read(&Ended { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() }).unwrap()
    }

    #[test]
    fn a_revision_is_built_as_it_is() {
        let url = "git+file:///home/a/infra?ref=refs/heads/main&rev=af3d";
        let text = format!(
            r#"{{"url":"{url}","locked":{{"rev":"af3d"}},"path":"/nix/store/x-source","locks":{{"version":7}}}}"#
        );
        let found = resolved(&text, "");
        assert_eq!((found.locked.as_str(), found.reference.as_str()), (url, url));
        assert_eq!((found.inputs.as_str(), found.stale), (r#"{"version":7}"#, None));
        let stale = resolved(&text, "warning: error: unable to download 'x': y; using cached version").stale;
        assert!(stale.is_some());
    }

    #[test]
    fn a_changed_checkout_is_built_from_the_store() {
        let text = r#"{"url":"git+file:///home/a/infra?dir=one","path":"/nix/store/x-source",
            "locked":{"dir":"one","lastModified":17,"narHash":"sha256-a+b/c=","dirtyRev":"af3d-dirty"}}"#;
        let found = resolved(text, "");
        assert_eq!(found.locked, "git+file:///home/a/infra?dir=one");
        assert_eq!(
            found.reference,
            "path:/nix/store/x-source?dir=one&lastModified=17&narHash=sha256-a%2Bb/c%3D"
        );
    }
}

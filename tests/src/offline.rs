//! System trees for `--root`: temporary directories that tests fill with files, links and intents, and the output of
//! `nixos-nspawn-ctl` on them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answers;
use crate::host::bins;

/// The path prefix of the systems that [`Tree::intent`] records.
pub const SYSTEM: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system";

/// A system tree.
pub struct Tree(TempDir);

/// What a command printed.
pub struct Said {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Its exit status.
    pub status: i32,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
            status: output.status.code().expect("not killed by a signal"),
        }
    }
}

impl Tree {
    /// Returns the tree's directory on this machine.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Makes an empty one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let tree = Self(TempDir::new().expect("a tree"));
        fs::set_permissions(tree.0.path(), fs::Permissions::from_mode(0o755)).expect("a tree");
        tree
    }

    /// Returns the path on this machine of a path in the tree.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file and creates its parent directories.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a tree")).expect("a tree");
        fs::write(&path, text).expect("a tree");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a tree");
    }

    /// Makes a link and creates its parent directories.
    pub fn link(&self, path: &str, target: &str) {
        fs::create_dir_all(self.path(path).parent().expect("a tree")).expect("a tree");
        symlink(target, self.path(path)).expect("a tree");
    }

    /// Writes the intent of a container. `fields` are added to `version` and `toplevel`, or replace them.
    pub fn intent(&self, name: &str, fields: Value) {
        let mut intent = json!({ "version": 1, "toplevel": format!("{SYSTEM}-{name}") });
        intent.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        self.write(&format!("/etc/nixos-nspawn/{name}.json"), &intent.to_string());
    }

    /// Returns the recorded intent of a container.
    pub fn recorded(&self, name: &str) -> Value {
        let text =
            fs::read_to_string(self.path(&format!("/etc/nixos-nspawn/{name}.json"))).expect("an intent");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns the command of `nixos-nspawn-ctl` on the tree, with times in UTC.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&bins().ctl);
        command.arg("--root").arg(self.0.path()).args(words).stdin(Stdio::null()).env("TZ", "UTC");
        command
    }

    /// Runs a command and returns its output.
    pub fn run(&self, words: &[&str]) -> Said {
        let said = Said::from(self.command(words).output().expect("a tree"));
        answers::check(words, said.status == 0, &said.out);
        said
    }

    /// Runs a command that must succeed without messages. Returns its standard output.
    pub fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{words:?}: {}", said.out);
        said.out
    }

    /// Runs a command and returns the JSON that it prints.
    pub fn json(&self, words: &[&str]) -> Value {
        let said = self.run(words);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err))
    }

    /// Returns every path with its file contents or link target, to show that nothing has changed.
    pub fn snapshot(&self) -> Vec<String> {
        let mut entries: Vec<String> = walkdir::WalkDir::new(self.0.path())
            .into_iter()
            .map(|entry| {
                let entry = entry.expect("a tree");
                let kind = entry.file_type();
                let what = match (kind.is_symlink(), kind.is_file()) {
                    (true, _) => fs::read_link(entry.path()).expect("a tree").display().to_string(),
                    (_, true) => fs::read_to_string(entry.path()).expect("a tree"),
                    _ => String::new(),
                };
                format!("{} {what}", entry.path().display())
            })
            .collect();
        entries.sort();
        entries
    }
}

//! The completion scripts in the shells that they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::{SYSTEM, Tree};
use serde_json::json;

/// The program by both names, its scripts, and a tree with containers.
struct Shells {
    tree: Tree,
    folder: tempfile::TempDir,
}

impl Shells {
    fn new() -> Self {
        let tree = Tree::new();
        let profile = "/nix/var/nix/profiles/per-nspawn/web/system";
        tree.intent("db", json!({}));
        tree.intent("web", json!({"profile": profile, "generation": 2}));
        tree.intent("web-2", json!({}));
        for number in 1..=3 {
            tree.link(&format!("{profile}-{number}-link"), &format!("{SYSTEM}-profile-{number}"));
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["nixos-nspawn", "nixos-nspawn-ctl"] {
            std::os::unix::fs::symlink(&bins().ctl, folder.path().join(name)).unwrap();
        }
        for (shell, file) in [("bash", "bash"), ("fish", "fish"), ("zsh", "_nixos-nspawn")] {
            let output = Command::new(&bins().ctl).args(["completions", shell]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            fs::write(folder.path().join(file), output.stdout).unwrap();
        }
        Self { tree, folder }
    }

    /// Runs a script of a shell; its arguments are the folder with the programs and scripts, what is typed, and more.
    fn run(&self, shell: &[&str], script: &str, line: &str, more: &str) -> String {
        let line = line.replace("--root", &format!("--root={}", self.tree.root().display()));
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", script, "shell"])
            .args([self.folder.path(), Path::new(&line), Path::new(more)])
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        text.trim().to_owned()
    }

    /// Returns what bash offers for the last word of a line.
    fn bash(&self, line: &str) -> String {
        let script = r#"source "$1/bash"; read -ra COMP_WORDS <<< "$2"; [[ $2 != *' ' ]] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
            registered=$(complete -p "${COMP_WORDS[0]}"); words=($registered)
            for at in "${!words[@]}"; do [ "${words[$at]}" != -F ] || function=${words[$((at + 1))]}; done
            $function "${COMP_WORDS[0]}" "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$((COMP_CWORD - 1))]}"
            echo "${COMPREPLY[*]}""#;
        self.run(&["bash", "--norc", "--noprofile"], script, line, "")
    }

    /// Returns what fish offers, without descriptions.
    fn fish(&self, line: &str) -> String {
        let script =
            r#"source $argv[2]/fish; complete -C "$argv[3]" | string replace -r "\t.*" "" | string join " ""#;
        self.run(&["fish", "--no-config"], script, line, "")
    }

    /// Returns what an interactive zsh shows after a tab, until it shows `wanted`. The script is loaded by compinit.
    fn zsh(&self, line: &str, wanted: &str) -> String {
        let script = r#"zmodload zsh/zpty; zpty -b shell zsh -f -i
            wait_for() { local all= out; for _ in {1..300}; do
                while zpty -rt shell out; do all+=$out; done
                if [[ $all == *$1* ]]; then break; fi; sleep 0.1; done; print -rn -- "$all"; }
            zpty -w shell "PS1='ready> '; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0"
            wait_for 'ready> ' > /dev/null
            zpty -wn shell "$2"$'\t'; wait_for "$3"; zpty -d shell"#;
        self.run(&["zsh", "-f"], script, line, wanted)
    }
}

#[test]
fn bash() {
    let shells = Shells::new();
    assert_eq!(shells.bash("nixos-nspawn upd"), "update");
    assert_eq!(shells.bash("nixos-nspawn-ctl list-g"), "list-generations");
    assert_eq!(shells.bash("nixos-nspawn --root show w"), "web web-2");
    assert_eq!(shells.bash("nixos-nspawn --root remove web"), "web web-2");
    assert_eq!(shells.bash("nixos-nspawn-ctl --root remove web w"), "web-2");
    assert_eq!(shells.bash("nixos-nspawn --root update web --strategy re"), "reload restart");
    for line in ["rollback web --to ", "pin web ", "diff web 1 "] {
        let offered = shells.bash(&format!("nixos-nspawn --root {line}"));
        assert!(offered.starts_with("3 2 1"), "{line}: {offered}");
    }
}

#[test]
fn fish() {
    let shells = Shells::new();
    assert_eq!(shells.fish("nixos-nspawn upd"), "update");
    assert_eq!(shells.fish("nixos-nspawn --root show w"), "web web-2");
    assert_eq!(shells.fish("nixos-nspawn-ctl --root remove web w"), "web-2");
}

#[test]
fn zsh() {
    let shells = Shells::new();
    for (line, wanted) in
        [("nixos-nspawn --root show d", "show db"), ("nixos-nspawn-ctl --root remove web-", "remove web-2")]
    {
        let shown = shells.zsh(line, wanted);
        assert!(shown.contains(wanted), "{shown:?}");
    }
}

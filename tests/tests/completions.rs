//! The completion scripts in the shells that they are for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
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
        // As Nix answers the question for the names; the question itself is asked on a host with Nix.
        let nix = folder.path().join("nix");
        fs::write(&nix, "#!/bin/sh\necho '[\"db-2\",\"app\",\"db-1\"]'\n").unwrap();
        fs::set_permissions(&nix, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("flake")).unwrap();
        fs::write(folder.path().join("flake/flake.nix"), "{}").unwrap();
        for (shell, file) in [("bash", "bash"), ("fish", "fish"), ("zsh", "_nixos-nspawn")] {
            let output = Command::new(&bins().ctl).args(["completions", shell]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            fs::write(folder.path().join(file), output.stdout).unwrap();
        }
        let bashrc = "PS1='ready> '; source \"${BASH_SOURCE%/*}/bash\"
            keep() { printf %s \"$READLINE_LINE\" > \"$HOME/.line\"; mv \"$HOME/.line\" \"$HOME/line\"; }
            bind -x '\"\\C-xl\": keep'";
        fs::write(folder.path().join("bashrc"), bashrc).unwrap();
        Self { tree, folder }
    }

    /// Returns ways to write the value of `--root` in a shell, for a place with a blank in its name.
    fn quoted_roots(&self) -> [String; 4] {
        let link = self.folder.path().join("a b");
        if !link.is_symlink() {
            std::os::unix::fs::symlink(self.tree.root(), &link).unwrap();
        }
        let folder = self.folder.path().display();
        [
            format!(" \"{folder}/a b\""),
            format!(" '{folder}/a b'"),
            format!("={folder}/a\\ b"),
            format!("=\"{folder}/a b\""),
        ]
    }

    /// Returns a line with the tree as the value of `--root`.
    fn rooted(&self, line: &str) -> String {
        line.replace("--root", &format!("--root={}", self.tree.root().display()))
    }

    /// Runs a script of a shell; its arguments are the folder with the programs and scripts, what is typed, and more.
    fn run(&self, shell: &[&str], script: &str, line: &str, more: &str) -> String {
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

    /// Returns the line of an interactive bash on a terminal after some keys.
    fn typed_in_bash(&self, line: &str, keys: &str) -> String {
        let script = r#"zmodload zsh/zpty; rm -f $1/line; zpty -b shell bash --noprofile --rcfile $1/bashrc -i
            for _ in {1..300}; do
                while zpty -rt shell out; do all+=$out; done
                if [[ $all == *'ready> '* ]]; then break; fi; sleep 0.05; done
            zpty -wn shell "$2"$'\C-xl'
            for _ in {1..300}; do
                while zpty -rt shell out; do all+=$out; done
                if [ -e $1/line ]; then break; fi; sleep 0.05; done
            zpty -d shell; cat $1/line || print -r -- "$all""#;
        self.run(&["zsh", "-f"], script, &format!("{line}{keys}"), "")
    }

    /// Returns what bash offers for the last word of a line, as whole words.
    fn bash(&self, line: &str) -> String {
        let line = self.rooted(line);
        // By this key, bash inserts all that it offers in place of what is behind the last break.
        let shown = self.typed_in_bash(&line, "\u{1b}*");
        if shown == line.trim() {
            return String::new();
        }
        let word = &line[line.rfind(' ').unwrap() + 1..];
        let kept = &word[..word.rfind('@').or(word.rfind(['=', ':']).map(|at| at + 1)).unwrap_or(0)];
        let inserted = shown.strip_prefix(&line[..line.len() - word.len() + kept.len()]).unwrap();
        let whole: Vec<String> = inserted.split(' ').map(|one| format!("{kept}{one}")).collect();
        whole.join(" ")
    }

    /// Returns what fish offers, without descriptions.
    fn fish(&self, line: &str) -> String {
        let line = self.rooted(line);
        let script =
            r#"source $argv[2]/fish; complete -C "$argv[3]" | string replace -r "\t.*" "" | string join " ""#;
        self.run(&["fish", "--no-config"], script, &line, "")
    }

    fn zsh(&self, line: &str, wanted: &str) -> String {
        self.typed_in_zsh(&self.rooted(line), wanted)
    }

    /// Returns what an interactive zsh shows after a tab, until it shows `wanted`. The script is loaded by compinit.
    fn typed_in_zsh(&self, line: &str, wanted: &str) -> String {
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

/// What is typed, and what is offered, in the order of the alphabet. Each line is for both names of the program, and
/// `FLAKE` is a flake with the containers `app`, `db-1` and `db-2`.
const OFFERED: [(&str, &str); 29] = [
    ("upd", "update"),
    ("list-g", "list-generations"),
    ("--root show w", "web web-2"),
    ("--root remove web w", "web-2"),
    ("--root enable db web-", "web-2"),
    ("--root update web --strategy re", "reload restart"),
    ("--root rollback web --to ", "1 2 3"),
    ("--root delete-generations web ", "1 2 3"),
    ("--root diff web 1 ", "1 2 3"),
    ("create new --flake FLAKE#d", "FLAKE#db-1 FLAKE#db-2"),
    ("update web --flake FLAKE#a", "FLAKE#app"),
    // bash breaks these words.
    ("create new --flake=FLAKE#d", "--flake=FLAKE#db-1 --flake=FLAKE#db-2"),
    ("create new --flake path:FLAKE#d", "path:FLAKE#db-1 path:FLAKE#db-2"),
    ("create new --flake=path:FLAKE#a", "--flake=path:FLAKE#app"),
    ("update web --strategy=re", "--strategy=reload --strategy=restart"),
    ("--root rollback web --to=", "--to=1 --to=2 --to=3"),
    ("--root list d", "db"),
    ("--root list db w", "web web-2"),
    ("--root import --undo w", "web web-2"),
    ("--root import --undo web w", "web-2"),
    ("--root shell d", "db"),
    ("--root shell root@w", "root@web root@web-2"),
    // What other hosts have is not known.
    ("--root -H host show w", ""),
    ("--root -vHhost list w", ""),
    ("--root show --host host w", ""),
    ("--root --host=root@host shell root@w", ""),
    ("--root --hosts-file hosts import --undo w", ""),
    ("--root rollback --hosts-file=hosts web --to 1", ""),
    ("--root --color never show w", "web web-2"),
];

/// Compares what a shell offers with [`OFFERED`].
fn compare(shells: &Shells, shell: impl Fn(&str) -> String) {
    let flake = shells.folder.path().join("flake").display().to_string();
    for program in ["nixos-nspawn", "nixos-nspawn-ctl"] {
        for (line, wanted) in OFFERED {
            let offered = shell(&format!("{program} {}", line.replace("FLAKE", &flake)));
            // Where an operand is typed, options are offered as well.
            let operands =
                offered.split_whitespace().filter(|word| !word.starts_with("--") || word.contains('='));
            let mut offered: Vec<&str> = operands.collect();
            offered.sort_unstable();
            assert_eq!(offered.join(" "), wanted.replace("FLAKE", &flake), "{program} {line}");
        }
    }
}

#[test]
fn bash() {
    let shells = Shells::new();
    compare(&shells, |line| shells.bash(line));
    // The newest generation is first; behind a container, another one may follow.
    assert!(shells.bash("nixos-nspawn --root pin web ").starts_with("3 2 1"));
}

/// What a line becomes in bash by a tab.
#[test]
fn bash_keeps_what_is_typed() {
    let shells = Shells::new();
    let flake = shells.folder.path().join("flake").display().to_string();
    let lines = [
        ("--root show w", "--root show web"),
        ("--root show d", "--root show db"),
        ("create x --flake=FLAKE#d", "create x --flake=FLAKE#db-"),
        ("create x --flake path:FLAKE#a", "create x --flake path:FLAKE#app"),
        ("create x --flake=path:FLAKE#a", "create x --flake=path:FLAKE#app"),
        ("create x --flake \"path:FLAKE#a", "create x --flake \"path:FLAKE#app\""),
        ("create x --flake=\"path:FLAKE#a", "create x --flake=\"path:FLAKE#app\""),
        ("update web --strategy=rel", "update web --strategy=reload"),
        ("--root shell root@d", "--root shell root@db"),
        ("--root show d --json\u{1b}b\u{2}\u{2}\u{2}", "--root show db --json"),
    ];
    for program in ["nixos-nspawn", "nixos-nspawn-ctl"] {
        for (line, wanted) in lines {
            let whole = |line: &str| shells.rooted(&format!("{program} {}", line.replace("FLAKE", &flake)));
            assert_eq!(shells.typed_in_bash(&whole(line), "\t"), whole(wanted));
        }
    }
    for root in shells.quoted_roots() {
        let line = |name: &str| format!("nixos-nspawn --root{root} show {name}");
        assert_eq!(shells.typed_in_bash(&line("d"), "\t"), line("db"));
    }
}

#[test]
fn fish() {
    let shells = Shells::new();
    compare(&shells, |line| shells.fish(line));
}

#[test]
fn zsh() {
    let shells = Shells::new();
    let flake = shells.folder.path().join("flake").display().to_string();
    // What is typed, and what the screen shows then.
    let lines = [
        ("--root show d", "show db"),
        ("--root remove web-", "remove web-2"),
        ("--root update web --strategy relo", "--strategy reload"),
        ("--root rollback web --to ", "2  -- current"),
        ("create new --flake FLAKE#a", "#app"),
        ("create new --flake=path:FLAKE#a", "#app"),
        ("--root list d", "list db"),
        ("--root import --undo d", "--undo db"),
        ("--root shell root@d", "root@db"),
        ("--root show w", "show web"),
    ];
    for program in ["nixos-nspawn", "nixos-nspawn-ctl"] {
        for (line, wanted) in lines {
            let shown = shells.zsh(&format!("{program} {}", line.replace("FLAKE", &flake)), wanted);
            assert!(shown.contains(wanted), "{program} {line}: {shown:?}");
        }
    }
    for root in shells.quoted_roots() {
        let line = format!("nixos-nspawn --root{root} show d");
        assert!(shells.typed_in_zsh(&line, "show db").contains("show db"), "{line}");
    }
}

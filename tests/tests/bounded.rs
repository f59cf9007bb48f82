//! The generator with too little disk space or time: no container is started by a link without its drop-in, and every
//! container that is left out is refused visibly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use nixos_nspawn_tests::golden::Root;
use nixos_nspawn_tests::manifest::paths;

const TOPLEVEL: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";

fn intent(container: &str) -> String {
    format!(r#"{{"version":1,"toplevel":"{TOPLEVEL}","container":{container}}}"#)
}

fn root(intents: &[(String, String)]) -> Root {
    let root = Root::empty();
    root.outputs();
    fs::create_dir_all(root.intents()).expect("new");
    for (name, text) in intents {
        fs::write(root.intents().join(format!("{name}.json")), text).expect("written");
    }
    root
}

/// Returns the sizes of the files and the links of the output when it is a file system with these options.
fn written(root: &Root, options: &str) -> BTreeMap<String, String> {
    let script = r#"
        mount -t tmpfs -o "$0" tmpfs "$1"
        shift
        "$@" 2> /dev/null || [ $? = 1 ]
        cd "$4"
        find . ! -type d -printf '%P %y%s\n'"#;
    let command = root.command();
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-ec", script, options]).arg(root.units());
    shell.arg(command.get_program()).args(command.get_args());
    // After the shift, the output is the fourth word: PROGRAM --root ROOT OUT.
    let output = shell.output().expect("unshare of util-linux");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
    text.lines()
        .map(|line| line.split_once(' ').expect("two words"))
        .map(|(path, size)| (path.to_owned(), size.to_owned()))
        .collect()
}

#[test]
fn without_space_no_link_is_written_without_its_drop_in() {
    let ports = |at: usize| {
        format!(
            r#"{{"forwardPorts":[{{"hostPort":{},"startOnConnect":true}}],"hostNetworkConfig":{{"address":"10.0.0.1/24"}}}}"#,
            1000 + at
        )
    };
    let mut intents: Vec<(String, String)> =
        (0..12).map(|at| (format!("web-{at}"), intent(&ports(at)))).collect();
    intents.push(("broken".to_owned(), "{".to_owned()));
    let root = root(&intents);
    let whole = written(&root, "size=16m");
    assert_eq!(whole.keys().filter(|path| path.contains(".wants/")).count(), 12 * 3 + 2, "{whole:#?}");
    let (mut some, mut all) = (0, 0);
    let rooms = (2..140).step_by(3).map(|inodes| format!("size=16m,nr_inodes={inodes}"));
    for options in rooms.chain((1..64).step_by(2).map(|pages| format!("size={}k", pages * 4))) {
        let found = written(&root, &options);
        for (path, size) in &found {
            assert_eq!(Some(size), whole.get(path), "{options}: {path} is cut off, or is no file of a plan");
            let Some(unit) = path.split_once(".wants/").map(|(_, unit)| unit) else { continue };
            all += 1;
            let name = unit.trim_start_matches("systemd-nspawn@").trim_start_matches("nixos-nspawn-proxy@");
            let name = name.trim_end_matches(".service").split("-tcp-").next().expect("a name");
            let files: Vec<&String> = whole
                .keys()
                .filter(|path| !path.contains(".wants/"))
                .filter(|path| {
                    [".nspawn", ".refused", ".network", ".service.d/", "-tcp-"]
                        .iter()
                        .any(|end| path.contains(&format!("{name}{end}")))
                })
                .collect();
            assert!(files.len() == 2 || files.len() == 5, "{name}: {files:?}");
            let missing: Vec<_> = files.iter().filter(|file| !found.contains_key(**file)).collect();
            assert!(missing.is_empty(), "{options}: {path} without {missing:?}");
        }
        some += usize::from(!found.is_empty() && found.len() < whole.len());
    }
    assert!(some > 20 && all > 100, "too few cases: {some}, {all}");
}

#[test]
fn without_time_the_remaining_containers_are_refused() {
    let values: Vec<String> = (0..12_500).map(|at| format!("\"{at:05}\"")).collect();
    let many: Vec<String> = (0..4).map(|at| format!("\"X-{at}\":[{}]", values.join(","))).collect();
    let root = root(&[
        ("large".to_owned(), intent(&format!(r#"{{"unitConfig":{{{}}}}}"#, many.join(",")))),
        // Small files are read before large ones, whatever their names.
        ("zz-small".to_owned(), intent("{}")),
    ]);
    let count = 1500;
    for at in 0..count {
        fs::hard_link(root.intents().join("large.json"), root.intents().join(format!("large-{at}.json")))
            .expect("new");
    }
    let output = root.command().output().expect("the generator runs");
    assert_eq!(output.status.code(), Some(1));
    let units = root.units();
    let drop_in = |name: &str| {
        let path = units.join(format!("systemd-nspawn@{name}.service.d/50-nixos-nspawn.conf"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    assert!(!drop_in("zz-small").contains("refused"));
    let refused =
        (0..count).map(|at| drop_in(&format!("large-{at}"))).filter(|text| text.contains("# refused: "));
    let refused: Vec<String> = refused.collect();
    assert!(!refused.is_empty() && refused.len() < count, "{} of {count} are refused", refused.len());
    for text in &refused {
        assert!(
            text.contains("since nixos-nspawn-generator ran out of time") && text.contains(" --refuse "),
            "{text}"
        );
    }
    assert!(units.join("multi-user.target.wants/systemd-nspawn@large-1499.service").is_symlink());
    assert!(
        !units.join("nixos-nspawn/writable").exists(),
        "the list of writable mounts would not be complete"
    );
}

/// systemd drops a whole file with a line of 1 MiB.
fn longest_line(units: &Path) -> usize {
    let files = paths(units).into_iter().map(|path| units.join(path)).filter(|path| path.is_file());
    let lengths = files.flat_map(|path| {
        let text = fs::read_to_string(path).expect("UTF-8");
        text.lines().map(str::len).collect::<Vec<_>>()
    });
    lengths.max().unwrap_or_default()
}

#[test]
fn refusals_have_bounded_length() {
    let long = "1".repeat(1_000_000);
    let credentials: Vec<String> = (0..40_000).map(|at| format!(r#"{{"id":"c{at:05}"}}"#)).collect();
    for container in [
        format!(r#"{{"rlimits":{{"NOFILE":"{long}:1"}}}}"#),
        format!(r#"{{"ephemeral":"{long}"}}"#),
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"network":"{long}"}}"#),
        format!(r#"{{"nspawnConfig":{{"Exec":{{"K{long}":1}}}}}}"#),
        format!(r#"{{"bindMounts":["/a:/b:{long}"]}}"#),
        format!(r#"{{"hostNetworkConfig":{{"extraConfig":"[{long}]"}}}}"#),
        // Each credential is valid, but ExecStart= names all of them.
        format!(r#"{{"credentials":[{}]}}"#, credentials.join(",")),
    ] {
        let root = root(&[("web".to_owned(), intent(&container))]);
        let outcome = root.generate();
        let start: String = container.chars().take(40).collect();
        assert_eq!(outcome.status, 1, "{start}");
        assert!(outcome.stderr.len() < 20_000, "{start}: {}", outcome.stderr.len());
        let drop_in = root.units().join("systemd-nspawn@web.service.d/50-nixos-nspawn.conf");
        let drop_in = fs::read_to_string(drop_in).expect("a drop-in");
        assert!(
            drop_in.contains("ExecStartPre=") && drop_in.contains(" --refuse web\n"),
            "{start}: {drop_in}"
        );
        assert!(longest_line(&root.units()) < 20_000, "{start}");
    }
}

//! The generator's system calls on every golden case, as seen by strace: it reads only /etc/nixos-nspawn, writes only its
//! output directory, runs no program and opens no connection. There are two exceptions: links below declarative.d, which the
//! kernel follows into /nix/store, and the names, not the files, behind a directory that is refused because it is a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::golden::{Root, for_each_case};
use nixos_nspawn_tests::host::bins;
use rustix::thread::sched_getaffinity;

#[test]
fn only_intent_is_read_and_only_units_are_written() {
    for_each_case(|case| {
        let root = case.root();
        let calls = traced(&root)?;
        if !calls.iter().any(|call| call.contains("etc/nixos-nspawn")) {
            return Err(format!("the trace shows nothing of the intent: {calls:?}"));
        }
        let bad: Vec<&String> = calls.iter().filter(|call| !allowed(&root, call)).collect();
        if bad.is_empty() { Ok(()) } else { Err(format!("{bad:#?}")) }
    });
}

/// Each further container takes the same few calls, none of which fails.
#[test]
fn each_container_takes_the_same_few_calls() {
    let calls = |count: usize| {
        let tree = tempfile::tempdir().expect("a tree");
        let intents = tree.path().join("root/etc/nixos-nspawn");
        fs::create_dir_all(&intents).expect("a tree");
        let out = tree.path().join("out");
        fs::create_dir(&out).expect("a tree");
        let text =
            r#"{"version":1,"toplevel":"/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web"}"#;
        for number in 0..count {
            fs::write(intents.join(format!("c{number}.json")), text).expect("a tree");
        }
        let log = tree.path().join("log");
        let mut strace = Command::new("strace");
        strace
            .arg("-f")
            .arg("-o")
            .arg(&log)
            .arg(&bins().generator)
            .arg("--root")
            .arg(tree.path().join("root"))
            .arg(&out);
        assert!(strace.status().expect("strace").success());
        let text = fs::read_to_string(&log).expect("a log");
        let failed: Vec<String> = text
            .lines()
            .filter(|line| line.contains("\"c") && line.contains(" = -1 "))
            .map(str::to_owned)
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        // The growth of the heap is not counted.
        text.lines()
            .filter(|line| !["brk(", "mmap(", "mremap("].iter().any(|call| line.contains(call)))
            .count()
    };
    let (few, many) = (calls(10), calls(30));
    // The intent: open, fstat, read, close. Two files that PID 1 ignores: open, write, close and rename. The drop-in: open,
    // write and close, and mkdir for its folder. Two links. Two looks at the clock.
    let each = 4 + 2 * 4 + 3 + 1 + 2 + 2;
    // The lists of all of them may take a call more.
    assert!(many - few <= 20 * each + 5, "{few} calls for 10 containers, {many} for 30");
}

/// Many containers are planned by several threads, which read and write what one thread would.
#[test]
fn threads_read_and_write_the_same() {
    let root = Root::empty();
    fs::create_dir_all(root.intents()).expect("a tree");
    for number in 0..160 {
        let container = match number % 4 {
            0 => r#"{"zone":"lab"}"#.to_owned(),
            1 => format!(
                r#"{{"forwardPorts":[{{"hostPort":{}}}],"bindMounts":["/srv/data"]}}"#,
                1000 + number / 8
            ),
            2 => r#"{"noSuchOption":1}"#.to_owned(),
            _ => format!(r#"{{"hostNetworkConfig":{{"address":"10.0.{number}.1/24"}}}}"#),
        };
        let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
        let text =
            format!(r#"{{"version":1,"toplevel":"{toplevel}","autostart":true,"container":{container}}}"#);
        fs::write(root.intents().join(format!("c{number}.json")), text).expect("a tree");
    }
    let calls = traced(&root).expect("a trace");
    let threads = calls.iter().filter(|call| call.contains("CLONE_THREAD")).count();
    let several = sched_getaffinity(None).expect("the processors").count() > 1;
    assert_eq!(threads > 0, several);
    let bad: Vec<&String> = calls.iter().filter(|call| !allowed(&root, call)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let together = root.generate();
    assert_eq!(together.tree.matches("50-nixos-nspawn.conf").count(), 160, "{}", together.tree);
    for _ in 0..5 {
        clear(&root);
        assert_eq!(root.generate(), together);
    }
    let alone = root.command();
    let log = tempfile::NamedTempFile::new().expect("a log");
    let log = log.path().to_str().expect("UTF-8");
    for words in [
        &["/usr/bin/taskset", "-c", "0"][..],
        &["/usr/bin/strace", "-f", "-qq", "-o", log, "-e", "inject=clone3:error=EAGAIN"],
    ] {
        clear(&root);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(alone.get_program()).args(alone.get_args());
        assert_eq!(root.run(&mut command), together, "{words:?}");
    }
    let refused = fs::read_to_string(log).expect("a log");
    assert_eq!(
        refused.contains("EAGAIN (Resource temporarily unavailable) (INJECTED)"),
        several,
        "{refused}"
    );
}

/// Empties the output directories.
fn clear(root: &Root) {
    for directory in root.outputs() {
        fs::remove_dir_all(directory).expect("removed");
    }
    root.outputs();
}

/// Returns the system calls that name files, make processes or use the network, one per line.
fn traced(root: &Root) -> Result<Vec<String>, String> {
    let logs = tempfile::tempdir().map_err(|e| e.to_string())?;
    let generator = root.command();
    let mut strace = Command::new("strace");
    // -yy shows the file of a descriptor. The execve of the program itself is skipped.
    strace.args(["-ff", "-yy", "-s", "8192", "-e", "trace=%file,%network,%process,%desc"]);
    strace
        .arg("-e")
        .arg("signal=all")
        .arg("-o")
        .arg(logs.path().join("trace"))
        .arg(generator.get_program())
        .args(generator.get_args());
    root.run(strace.env("PATH", "/usr/bin:/bin"));
    let mut calls = Vec::new();
    // A file for each thread, so that no call is interrupted by one of another.
    for log in fs::read_dir(logs.path()).map_err(|e| e.to_string())? {
        let text = log.and_then(|log| fs::read_to_string(log.path())).map_err(|e| e.to_string())?;
        calls.extend(text.lines().map(|line| line.trim().to_owned()));
    }
    if calls.is_empty() { Err("strace of the package strace wrote no log".to_owned()) } else { Ok(calls) }
}

/// Returns whether a generator may make this call.
fn allowed(root: &Root, call: &str) -> bool {
    let Some((name, rest)) = call.split_once('(') else {
        // The end of the process; a signal would be shown as `--- SIG… ---`.
        return call.starts_with("+++ exited with ");
    };
    let [normal, ..] = root.outputs();
    let out = |path: &Path| path.starts_with(&normal);
    // If declarative.d is a link, the open directory is in the store.
    let intent =
        |path: &Path| path.starts_with(root.intents()) || path.starts_with(root.path().join("nix/store"));
    // If one of the two directories is a link, it is refused, and its names are listed to refuse each of them; no file
    // is read there.
    let listed = |path: &Path| {
        [root.intents(), root.intents().join("declarative.d")].iter().any(|directory| {
            fs::read_link(directory).is_ok_and(|target| {
                let within = target.strip_prefix("/").map(|below| root.path().join(below));
                path == within.unwrap_or_else(|_| directory.with_file_name(&target))
            })
        })
    };
    // The C library and Rust's runtime look up the bounds of the stack and the path of the program.
    let own = |path: &Path| path.starts_with("/proc/self");
    // The first argument is the link's target, which is not opened.
    let paths =
        paths(if name == "symlinkat" { rest.split_once(", ").map_or(rest, |(_, rest)| rest) } else { rest });
    match name {
        "execve" => call.starts_with(&format!("execve({:?}", root.command().get_program())),
        "clone" | "clone3" => rest.contains("CLONE_THREAD"),
        "exit_group" | "exit" | "close" | "getdents64" | "lseek" | "poll" | "fcntl" | "ioctl" | "mmap" => {
            true
        }
        "open" | "openat" | "openat2"
            if rest.contains("O_CREAT") || rest.contains("O_WRONLY") || rest.contains("O_RDWR") =>
        {
            paths.iter().all(|path| out(path))
        }
        "open" | "openat" | "openat2" => paths.iter().all(|path| {
            let folder = rest.contains("O_DIRECTORY") || rest.contains("O_PATH");
            let json = path.extension().is_some_and(|extension| extension == "json") && !hidden(path);
            // A FIFO must not block, and a terminal must not become the controlling one; O_PATH opens nothing.
            let harmless = rest.contains("O_NONBLOCK") || rest.contains("O_PATH");
            let guarded = harmless && rest.contains("O_CLOEXEC");
            own(path)
                || out(path)
                || path == &root.path() && rest.contains("O_PATH")
                || intent(path) && guarded && (folder || json)
                || listed(path) && guarded && rest.contains("O_DIRECTORY")
        }),
        "mkdirat" | "renameat" | "renameat2" | "symlinkat" | "unlinkat" | "fchmodat" => {
            paths.iter().all(|path| out(path))
        }
        // The list of writable mounts has the time at which the run began.
        "utimensat" => descriptor(rest).is_some_and(|path| out(&path) && path.ends_with(".writable.new")),
        // The link's content follows its path.
        "readlink" | "readlinkat" => paths.first().is_some_and(|path| own(path) || out(path)),
        "newfstatat" | "fstatat64" | "statx" | "stat" | "fstat" | "fstat64" => {
            paths.iter().all(|path| own(path) || out(path) || intent(path) || of_descriptor(rest))
        }
        "read" | "pread64" | "readv" => !rest.contains("<socket"),
        "write" | "writev" => {
            rest.starts_with("2<")
                || paths.iter().all(|path| out(path))
                || descriptor(rest).is_some_and(|path| out(&path))
        }
        _ => false,
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Returns whether the call concerns an open file: `fstat(3<…>, …)` or `newfstatat(3<…>, "", …, AT_EMPTY_PATH)`.
fn of_descriptor(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit()) && (!rest.contains('"') || rest.contains(">, \"\","))
}

/// Returns the file of the first descriptor: `3</some/file>, …`.
fn descriptor(rest: &str) -> Option<PathBuf> {
    let (_, behind) =
        rest.split_once('<').filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))?;
    Some(PathBuf::from(behind.split('>').next()?))
}

/// Returns the paths in the arguments, each with the directory of the descriptor before it.
fn paths(rest: &str) -> Vec<PathBuf> {
    // The result may also name a file.
    let arguments = rest.rsplit_once(" = ").map_or(rest, |(arguments, _)| arguments);
    let mut found = Vec::new();
    let mut at = PathBuf::new();
    for argument in arguments.split(", ") {
        if let Some(path) = descriptor(argument) {
            at = path;
        } else if argument.starts_with("AT_FDCWD") {
            at = PathBuf::from("/");
        } else if let Some(text) = argument.strip_prefix('"').and_then(|text| text.split('"').next()) {
            found.push(at.join(text));
        }
    }
    found
}

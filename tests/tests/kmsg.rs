//! Messages of the generator when PID 1 runs it: one record each in /dev/kmsg, with priority and name. Here the device is
//! a file in its own mount namespace.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nixos_nspawn_tests::host::bins;

/// Runs the generator as PID 1 does, with `kmsg` instead of the device and a file without a version as its only intent.
fn generate(folder: &Path) -> Output {
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    fs::create_dir_all(path("root/etc/nixos-nspawn")).expect("a root");
    fs::create_dir(path("out")).expect("an output directory");
    fs::write(path("root/etc/nixos-nspawn/web.json"), "{}").expect("an intent");
    // These two variables tell a generator that systemd runs it; exec keeps the process id.
    let script = format!(
        "mount --bind {} /dev/kmsg && SYSTEMD_SCOPE=system SYSTEMD_EXEC_PID=$$ exec {} --root {} {}",
        path("kmsg"),
        bins().generator.display(),
        path("root"),
        path("out")
    );
    let words = ["20", "unshare", "--mount", "sh", "-c", &script];
    Command::new("timeout").args(words).output().expect("timeout and unshare")
}

#[test]
fn messages_go_to_the_kernel_log_with_priorities() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("kmsg"), "").expect("a log");
    let output = generate(folder.path());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let log = fs::read_to_string(folder.path().join("kmsg")).expect("a log");
    // 27 is the facility "daemon" with the priority "error" (syslog(3)).
    let record = log.strip_prefix("<27>nixos-nspawn-generator[").and_then(|rest| rest.split_once("]: "));
    let (_, text) = record.unwrap_or_else(|| panic!("no record of ours: {log:?}"));
    assert_eq!(
        text,
        "/etc/nixos-nspawn/web.json: field 'version': is missing, container 'web' will not start\n"
    );
}

#[test]
fn a_pipe_instead_of_the_kernel_log_does_not_block() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("mkfifo").arg(folder.path().join("kmsg")).status().expect("mkfifo");
    assert!(made.success());
    let output = generate(folder.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("field 'version': is missing, container 'web' will not start"), "{stderr}");
}

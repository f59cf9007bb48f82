use super::*;

#[test]
fn messages_of_nix() {
    for (text, cause) in [
        (
            "error: opening Git repository \"/home/a/i\": repository path '/home/a/i' is not owned by current user",
            Cause::Owner,
        ),
        ("fatal: detected dubious ownership in repository at '/home/a/i'", Cause::Owner),
        (
            "error: Failed to open archive (Source threw exception: error: unable to download 'http://h/f.tar.gz': Could not connect to server (7))",
            Cause::Network,
        ),
        ("error: unable to download 'https://api.github.com/repos/a/b': HTTP error 404", Cause::Access),
        ("error: unable to download 'https://h/f.tar.gz': HTTP error 502", Cause::Server),
        ("error: unable to download 'https://h/f': Could not resolve hostname (6)", Cause::Network),
        (
            "error: unable to download 'https://h/f': SSL peer certificate or SSH remote key was not OK (60)",
            Cause::Access,
        ),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            Cause::Access,
        ),
        ("remote: Repository not found.\nfatal: unable to access 'https://h/r'", Cause::Access),
        ("fatal: unable to access 'https://h/r/': The requested URL returned error: 403", Cause::Access),
        (
            "ssh: connect to host h port 22: Connection timed out\nfatal: Could not read from remote repository.",
            Cause::Network,
        ),
        (
            "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Permission denied",
            Cause::Daemon,
        ),
        ("error: opening lock file '/nix/var/nix/db/big-lock': Permission denied", Cause::Daemon),
        ("error: flake 'path:/x' does not provide attribute 'nixosContainers.web'", Cause::Attribute),
        ("error: path '/home/a/i/x.nix' is not tracked by Git", Cause::Untracked),
        ("error: path '/nix/store/a-source/flake.nix' does not exist", Cause::Untracked),
        ("error: opening file '/nix/store/a-source/x': No such file or directory", Cause::Untracked),
        ("error: Path 'flake.nix' in the repository \"/r\" is not tracked by Git.", Cause::Untracked),
        (
            "error: The option `nixosContainer.x' does not exist. Definition values:\n- In `/root/a.nix': []",
            Cause::Evaluation,
        ),
        ("error: cannot run ssh: No such file or directory\nfatal: unable to fork", Cause::Program),
        ("error: a 'aarch64-linux' with features {} is required to build '/nix/store/a.drv'", Cause::System),
        (
            "error: Cannot build '/nix/store/a.drv'.\n Reason: required system or feature not available",
            Cause::System,
        ),
        ("error: writing to file: No space left on device", Cause::Space),
        (
            "error:\n  … while fetching the input 'path:/x'\n\n  error: committing transaction: database or disk is full, database or disk is full (in '/nix/var/nix/db/db.sqlite')",
            Cause::Space,
        ),
        ("error: builder for '/nix/store/a-x.drv' failed with exit code 1", Cause::Builder),
        ("error: cannot find flake 'flake:deep' in the flake registries", Cause::Registry),
        ("error: undefined variable 'x'", Cause::Evaluation),
    ] {
        assert_eq!(Cause::of(text), Some(cause), "{text}");
    }
    assert!(answered("warning: unable to download 'x': HTTP error 403; using cached version").is_some());
    assert!(answered("unable to download 'x': Could not resolve host; using cached version").is_none());
    assert_eq!(Cause::of("warning: Git tree '/x' is dirty"), None);
}

#[test]
fn what_failed_is_named() {
    let said = Cause::Registry.explained("error: cannot find flake 'flake:deep' in the flake registries");
    assert_eq!(said, "the registry has no flake 'deep'; the flake of a directory is './deep'");
    let said = Cause::Builder.explained("error: Cannot build '/nix/store/a-x.drv'.\n Reason: builder failed");
    assert_eq!(said, "a build failed; 'nix log /nix/store/a-x.drv' shows its output");
    for (text, expected) in [
        (
            "error: cannot run ssh: No such file or directory\nfatal: unable to fork",
            "'ssh' is not installed, or not in PATH; install it",
        ),
        (
            "error: executing 'git': No such file or directory",
            "'git' is not installed, or not in PATH; install it",
        ),
        (
            "error: a 'aarch64-linux' with features {} is required to build '/nix/store/a.drv'",
            "nothing here builds for aarch64-linux; check --system, or see builders in nix.conf(5)",
        ),
        (
            "Reason: required system or feature not available\nRequired system: 'aarch64-linux' with features {}",
            "nothing here builds for aarch64-linux; check --system, or see builders in nix.conf(5)",
        ),
        (
            "error: Cannot build '/nix/store/a.drv'.\n  Reason: platform mismatch\n  Required system: 'aarch64-linux'",
            "nothing here builds for aarch64-linux; check --system, or see builders in nix.conf(5)",
        ),
        (
            "error:\n  … while calling 'throw'\n\n   error: no such package nginxx\n",
            "the configuration does not evaluate (no such package nginxx); -v shows Nix's trace",
        ),
        (
            "error:\n  … while evaluating\n\n  error:\n  Failed assertions:\n  - Set a\u{1b}.\n  - More.\n",
            "the configuration does not evaluate (Failed assertions: - Set a\\u{1b}.); -v shows Nix's trace",
        ),
        (
            "error: path '//root/none' does not exist",
            "/root/none is missing, or not tracked by Git; if it is in a Git checkout, 'git add' it",
        ),
    ] {
        assert_eq!(Cause::of(text).unwrap().explained(text), expected);
    }
    for text in [
        "error: path '/nix/store/0c-source/sub/flake.nix' does not exist",
        "\n       error: opening file '/tmp/store/nix/store/0c-source/sub/flake.nix': No such file or directory",
        "error: Path 'sub/flake.nix' in the repository \"/tmp/r\" is not tracked by Git.\n\n  To make it visible",
        "error: Path 'sub/flake.nix' does not exist in Git repository \"/tmp/r\".",
        "error: path 'sub/flake.nix' is not tracked by Git",
    ] {
        let said = Cause::of(text).unwrap().explained(text);
        let expected =
            "sub/flake.nix is missing, or not tracked by Git; if it is in a Git checkout, 'git add' it";
        assert_eq!(said, expected, "{text}");
    }
}

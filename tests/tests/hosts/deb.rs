//! The Debian package on hosts: installed, upgraded with a running container, removed, installed again, purged.
//!
//! The package is packed from the programs of `make build`, and installs below /usr/local.
//! `make deb-check` names the directory of the real package, which installs below /usr.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nixos_nspawn_tests::host::{FLAKE, Host, Output, Suite, bins, unit};

/// The version before.
const OLD: &str = "0.1.0";

/// The generator's place below the prefix.
const GENERATOR: &str = "lib/systemd/system-generators/nixos-nspawn-generator";

/// The packages, and where they install.
struct Packages {
    old: PathBuf,
    new: PathBuf,
    prefix: &'static str,
    _place: tempfile::TempDir,
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
}

/// Makes a program report an older version. The numbers are equally long, so nothing else in it moves.
fn make_older(program: &Path) {
    let (new, old) = (env!("CARGO_PKG_VERSION").as_bytes(), OLD.as_bytes());
    assert_eq!(new.len(), old.len());
    let mut bytes = fs::read(program).expect("readable");
    let places: Vec<usize> =
        bytes.windows(new.len()).enumerate().filter(|(_, window)| *window == new).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{}: does not hold its version", program.display());
    places.iter().for_each(|at| bytes[*at..at + old.len()].copy_from_slice(old));
    fs::write(program, bytes).expect("writable");
}

/// Makes the package, and another whose generator and unit helper report an older version.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let place = tempfile::tempdir().expect("a directory");
        let real = std::env::var_os("NIXOS_NSPAWN_DEB").map(PathBuf::from);
        let prefix = if real.is_some() { "/usr" } else { "/usr/local" };
        let directory = real.unwrap_or_else(|| {
            let built = bins().ctl.parent().expect("a directory").canonicalize().expect("it is there");
            let packed = place.path().join("packed");
            let mut build = Command::new("sh");
            build.args(["tests/deb/build.sh"]).arg(&packed).env("BUILT", built).env("DEB_PREFIX", prefix);
            build.env("DEB_BUILD_OPTIONS", "nostrip noautodbgsym");
            run(build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")));
            packed
        });
        let new = fs::read_dir(&directory).expect("readable").map(|entry| entry.expect("readable").path());
        let named = |path: &PathBuf| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            name.starts_with(concat!("nixos-nspawn_", env!("CARGO_PKG_VERSION"), "_"))
                && name.ends_with(".deb")
        };
        let new = new.into_iter().find(named).expect("a package of this version");
        let (unpacked, old) = (place.path().join("unpacked"), place.path().join("old.deb"));
        run(Command::new("dpkg-deb").arg("--raw-extract").args([&new, &unpacked]));
        let control = unpacked.join("DEBIAN/control");
        let text = fs::read_to_string(&control).expect("readable");
        let older =
            text.replace(concat!("\nVersion: ", env!("CARGO_PKG_VERSION")), &format!("\nVersion: {OLD}"));
        assert_ne!(older, text, "it has a version");
        fs::write(&control, older).expect("writable");
        for program in [GENERATOR, "libexec/nixos-nspawn/unit-helper"] {
            make_older(&unpacked.join(prefix.trim_start_matches('/')).join(program));
        }
        run(Command::new("dpkg-deb").args(["--build", "-Zgzip", "-z1"]).args([&unpacked, &old]));
        Packages { old, new, prefix, _place: place }
    })
}

fn dpkg(host: &Host, words: &[&str]) -> Output {
    let output = host.run(&[&["dpkg"], words].concat());
    assert!(output.success(), "{output}");
    output
}

/// The process of the container, which must not change unless its unit is restarted.
fn process(host: &Host) -> String {
    assert_eq!(host.state("web"), "active", "{}", host.journal(30));
    host.property("web", "MainPID")
}

/// What `--version` prints for a version of the generator and the unit helper.
fn versions(prefix: &str, version: &str) -> String {
    format!(
        "nixos-nspawn {}\ngenerator {version}, {prefix}/{GENERATOR}\nunit helper {version}, {prefix}/libexec/nixos-nspawn/unit-helper\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn whole_life(suite: Suite) {
    let Packages { old, new, prefix, .. } = packages();
    let host = Host::boot_with_own_usr(suite);
    host.install_flakes();
    host.copy_in(old, "/root/old.deb", 0o644);
    host.copy_in(new, "/root/new.deb", 0o644);
    let generator = format!("{prefix}/{GENERATOR}");
    let timer = "nixos-nspawn-update.timer";

    // Nothing else is needed before a container can be created.
    dpkg(&host, &["--install", "/root/new.deb"]);
    assert_eq!(host.run(&["systemctl", "is-enabled", timer]).stdout.trim(), "disabled");
    let configuration = host.ok(&["systemd-analyze", "cat-config", "systemd/networkd.conf"]);
    assert!(configuration.contains("\nManageForeignRoutingPolicyRules=no\n"), "{configuration}");
    host.create("web");
    let page = || host.page_of("web");
    assert_eq!(page(), "Hello from web.\n");
    let before = process(&host);

    // A program that is newer than the generator refuses to create containers for it.
    dpkg(&host, &["--install", "/root/old.deb"]);
    assert_eq!(process(&host), before, "a downgrade does not touch it either");
    assert_eq!(host.ctl_ok(&["--version"]).stdout, versions(prefix, OLD));
    let refused = host.ctl(&["create", "db", "--flake", FLAKE]);
    let message = format!("{generator}: version {OLD} is older than this program");
    assert!(!refused.success() && refused.stderr.contains(&message), "{refused}");

    let upgraded = dpkg(&host, &["--install", "/root/new.deb"]);
    assert!(upgraded.stdout.contains(&format!("({}) over ({OLD})", env!("CARGO_PKG_VERSION"))), "{upgraded}");
    assert_eq!(process(&host), before, "an upgrade does not touch a running container");
    assert_eq!(host.property("web", "NeedDaemonReload"), "no");
    assert_eq!(page(), "Hello from web.\n");
    assert_eq!(host.ctl_ok(&["--version"]).stdout, versions(prefix, env!("CARGO_PKG_VERSION")));
    assert_eq!(host.run(&["systemctl", "is-enabled", timer]).stdout.trim(), "disabled");

    // After a removal it still runs, and nothing of ours does.
    let removed = dpkg(&host, &["--remove", "nixos-nspawn"]);
    assert!(removed.stdout.contains("Containers that keep running: web\n"), "{removed}");
    assert_eq!(process(&host), before);
    assert_eq!(page(), "Hello from web.\n");
    assert!(!host.exists(&generator));
    assert_eq!(host.property("web", "DropInPaths"), "", "the generator's files are gone");
    assert!(host.exists("/etc/nixos-nspawn/web.json"));

    // Installed again, everything is as before.
    dpkg(&host, &["--install", "/root/new.deb"]);
    assert_eq!(process(&host), before);
    assert!(host.property("web", "DropInPaths").contains("nixos-nspawn"));
    host.ok(&["systemctl", "restart", &unit("web")]);
    assert_eq!(page(), "Hello from web.\n");
    let before = process(&host);

    // A purge keeps records and state, but nothing that only the program needs.
    host.ctl_ok(&["setup", "--auto-update=Mon 05:00"]);
    let drop_in = format!("/etc/systemd/system/{timer}.d/10-nixos-nspawn.conf");
    assert!(host.exists(&drop_in));
    let purged = dpkg(&host, &["--purge", "nixos-nspawn"]);
    assert!(purged.stdout.contains("Records of containers stay in /etc/nixos-nspawn"), "{purged}");
    assert_eq!(process(&host), before);
    for gone in [
        &drop_in[..],
        "/etc/nixos-nspawn/host.json",
        &format!("/etc/systemd/system/timers.target.wants/{timer}"),
    ] {
        assert!(!host.exists(gone), "{gone}: {purged}");
    }
    assert_eq!(host.sh("ls /etc/nixos-nspawn; ls /var/lib/machines").trim(), "web.json\nweb");

    // Without containers, a purge leaves nothing.
    dpkg(&host, &["--install", "/root/new.deb"]);
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    let other = "/etc/systemd/system/systemd-nspawn@other.service";
    host.write(other, "[Service]\nExecStart=sleep infinity\n", 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ok(&["systemctl", "start", &unit("other")]);
    let purged = dpkg(&host, &["--purge", "nixos-nspawn"]);
    assert!(!purged.stdout.contains("Containers that keep running"), "it is not ours: {purged}");
    host.ok(&["systemctl", "stop", &unit("other")]);
    host.sh(&format!("rm {other}; systemctl daemon-reload"));
    assert!(!host.exists("/etc/nixos-nspawn"));
    let left =
        host.sh(&format!("find {prefix} -name '*nixos-nspawn*'; dpkg --list | grep nixos-nspawn || :"));
    assert_eq!(left, "");
    assert_eq!(host.ok(&["systemctl", "list-units", "--failed", "--no-legend", "--plain"]), "");
}

#[test]
fn trixie() {
    whole_life(Suite::Trixie);
}

#[test]
fn forky() {
    whole_life(Suite::Forky);
}

/// The package has the version of the programs.
#[test]
fn versions_agree() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../debian/changelog");
    let first = fs::read_to_string(changelog).expect("readable");
    assert!(first.starts_with(concat!("nixos-nspawn (", env!("CARGO_PKG_VERSION"), ") ")), "{first}");
}

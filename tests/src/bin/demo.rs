//! `make demo`: boots a throwaway Debian, creates a container from `examples/debian` with a real Nix build, updates it and
//! rolls it back, reboots the host, shows the container again, and removes it. Each command is printed with its output. Nothing
//! is left on the machine except `target/`. With `--prepare`, only the host's tree is made, which takes as long as the build of
//! the programs: `make demo` does both at once.

use nixos_nspawn_tests::host::{Host, Suite, bins, tree};
use std::path::Path;
use std::time::Instant;

fn say(text: &str) {
    println!("\n\x1b[1;33m── {text}\x1b[0m");
}

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == "--prepare") {
        tree(Suite::Trixie);
        return;
    }
    let bins = bins();
    let start = Instant::now();
    say("A throwaway Debian 13 is booted in namespaces; nothing of this machine is touched");
    let host = Host::boot_on_disk(Suite::Trixie);
    host.copy_in(&bins.ctl, "/usr/local/bin/nixos-nspawn", 0o755);
    host.copy_in(&bins.generator, "/usr/local/bin/nixos-nspawn-generator", 0o755);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/debian");
    for file in ["flake.nix", "container.nix"] {
        host.copy_in(&example.join(file), &format!("/root/example/{file}"), 0o644);
    }
    host.watch("systemctl --version | head -1; nix --version");

    say("Once per host: the generator that turns recorded containers into units");
    host.watch("nixos-nspawn setup");

    say("A container is built by Nix from a flake, recorded and started");
    host.watch("cat /root/example/flake.nix");
    host.watch("nixos-nspawn create web --flake /root/example");

    say("It runs, under systemd's own template unit");
    host.watch("nixos-nspawn list");
    host.watch("machinectl list");
    host.watch("systemctl status --no-pager --lines=3 systemd-nspawn@web");
    host.watch("curl --silent --retry 20 --retry-delay 1 --retry-all-errors http://web/");

    say("A line of its flake is changed, and it is updated; then it is rolled back");
    host.watch("sed -i 's/Hello from a container/Hello again/' /root/example/flake.nix");
    host.watch("nixos-nspawn update web");
    host.watch("curl --silent http://web/");
    host.watch("nixos-nspawn rollback web");

    say("The host reboots");
    println!("\n\x1b[1mhost#\x1b[0m \x1b[36msystemctl reboot\x1b[0m");
    println!("up again: {}", host.reboot());

    say("The container is back");
    host.watch("systemd-analyze | head -1; nixos-nspawn list; machinectl list");
    host.watch("curl --silent --retry 20 --retry-delay 1 --retry-all-errors http://web/");

    say("It is removed, with its state");
    host.watch("nixos-nspawn remove web --delete-state");
    host.watch("nixos-nspawn list; machinectl list; ls -A /etc/nixos-nspawn /var/lib/machines");

    drop(host);
    say(&format!("Done, in {} s; the host is gone", start.elapsed().as_secs()));
    println!(
        "To try it on a host of yours: 'make deb' makes a package, README.md's \"The first container\" goes on from there.\n\
         'make book' makes a book of the documents, 'make test' runs all tests."
    );
}

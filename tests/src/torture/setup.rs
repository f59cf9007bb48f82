//! Kills `setup` at its system calls, as it installs programs where there are none or replaces older ones. Each file is
//! then the old or the new one, complete, containers run on, and `setup` succeeds when it is repeated.

use super::counts::Counts;
use super::fault::Fault;
use super::kills::{Calls, chosen};
use super::live::Live;

/// Moves the generator to the side of the program, from where `setup` installs it, and installs everything once.
const BEGIN: &str = r#"
    mv /usr/local/lib/systemd/system-generators/nixos-nspawn-generator /usr/local/bin/
    nixos-nspawn setup
    cp -a /usr/local/share/nixos-nspawn/nix /run/nix-files"#;

/// Undoes that.
const END: &str = r#"
    rm -f /etc/systemd/system-generators/nixos-nspawn-generator
    mv /usr/local/bin/nixos-nspawn-generator /usr/local/lib/systemd/system-generators/
    systemctl daemon-reload"#;

/// Makes installed programs older ones, or removes them.
const OLDER: &str = r#"
    for file in /etc/systemd/system-generators/nixos-nspawn-generator /usr/local/libexec/nixos-nspawn/unit-helper; do
        cp /usr/local/bin/nixos-nspawn-generator $file
        echo >> $file
    done"#;
const NONE: &str = "rm -rf /etc/systemd/system-generators/nixos-nspawn-generator /usr/local/libexec/nixos-nspawn /usr/local/share/nixos-nspawn";

/// Prints what is wrong, one line each. With an argument, everything must be the new version, without litter.
const CHECK: &str = r#"
    new=$(sha256sum < /usr/local/bin/nixos-nspawn-generator)
    old=$( (cat /usr/local/bin/nixos-nspawn-generator; echo) | sha256sum)
    generator=/etc/systemd/system-generators/nixos-nspawn-generator
    helper=/usr/local/libexec/nixos-nspawn/unit-helper
    for file in $generator $helper; do
        [ -e $file ] || { [ -z "$1" ] || echo "$file is missing"; continue; }
        now=$(sha256sum < $file)
        [ "$now" = "$new" ] || { [ -z "$1" ] && [ "$now" = "$old" ]; } || echo "$file is damaged"
        [ "$(stat -c %a $file)" = 755 ] || echo "$file is not executable"
    done
    ! [ -e $generator ] || [ -e $helper ] || echo "there is a generator without its helper"
    for file in /run/nix-files/*; do
        now=/usr/local/share/nixos-nspawn/nix/$(basename "$file")
        if [ -e "$now" ]; then cmp -s "$file" "$now" || echo "$now is damaged"; else [ -z "$1" ] || echo "$now is missing"; fi
    done
    [ -z "$1" ] || find /etc/systemd/system-generators /usr/local/libexec/nixos-nspawn /usr/local/share/nixos-nspawn \
        /etc/nixos-nspawn -name '.*' -type f -printf 'left behind: %p\n'
    if [ -e $generator ]; then
        systemctl daemon-reload
        [ -e /run/systemd/generator/systemd-nspawn@calm.service.d/50-nixos-nspawn.conf ] || echo "the units are gone"
    fi"#;

/// Injects a fault at the chosen calls of `setup`.
pub fn fault(live: &Live, calls: Calls, fault: Fault) -> Counts {
    let host = live.host;
    host.sh(BEGIN);
    let calm = host.nspawn("calm");
    let mut counts = Counts::default();
    for (what, before) in [("older programs", OLDER), ("no programs", NONE)] {
        host.sh(before);
        for point in chosen(live.points(&["setup"]), calls, fault) {
            host.sh(before);
            let (output, injected) = live.faulted(&["setup"], &point, fault);
            counts.count(fault, injected, output.code() == 137);
            let check = |argument: &str| host.run(&["sh", "-uc", CHECK, "sh", argument]).text();
            let mut said = check("");
            let again = host.ctl(&["setup"]);
            if !again.success() {
                said.push_str(&format!("the same command again: {again}\n"));
            }
            let last = check("all");
            said.extend(last.lines().map(|line| format!("at last: {line}\n")));
            if host.nspawn("calm") != calm {
                said.push_str("a container was restarted\n");
            }
            let place =
                format!("systemd {}, setup over {what}, {fault:?} at {}", host.systemd(), point.shown);
            counts.wrong.extend(said.lines().map(|line| format!("{place}: {line}")));
        }
    }
    host.sh(END);
    counts
}

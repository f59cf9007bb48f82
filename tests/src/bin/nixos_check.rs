//! `make nixos-check`: runs real NixOS systems in containers on throwaway hosts, as tests/nixos/README.md describes.
//!
//! `nixos_check NIXPKGS [--hold | --record] [--numbers | --strict] [trixie|forky]...` boots a host of each suite (both by default), copies the
//! kit to it, runs the checks and measurements, and on trixie also the checks of a NixOS host. PEER is passed on to
//! the kit. With `--hold`, it prints a command that runs its arguments on the host instead, and keeps the host
//! until standard input ends. With `--record`, the output is written to tests/nixos/seen, for the table of docs/seen.md. With
//! `--numbers`, it only measures, and with `--strict` it only checks a container with `hardening = "strict"`. Exits with 1 if a line failed.

use nixos_nspawn_tests::host::{Host, Suite, bins};
use nixos_nspawn_tests::nixos_numbers;
use nixos_nspawn_tests::nixos_seen::{GROUPS, Report, merged, path};
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|word| word == option);
    let (hold, record) = (has("--hold"), has("--record"));
    let (only_numbers, only_strict) = (has("--numbers"), has("--strict"));
    arguments.retain(|word| !word.starts_with("--"));
    let Some((nixpkgs, words)) = arguments.split_first() else {
        eprintln!("NIXPKGS: give the directory that tests/nixos/nixpkgs/assemble made");
        return ExitCode::from(2);
    };
    let mut suites: Vec<Suite> =
        Suite::ALL.into_iter().filter(|suite| words.iter().any(|word| word == suite.name())).collect();
    if suites.len() != words.len() {
        eprintln!("there are hosts of trixie and forky only, not of {}", words.join(" "));
        return ExitCode::from(2);
    }
    if suites.is_empty() {
        suites.extend(Suite::ALL);
    }
    let mut good = true;
    for suite in suites {
        let host = Host::boot_on_disk(suite);
        host.install(bins());
        host.install_nix();
        let enter = host.entry();
        let root = host.directory().join("root");
        let programs = bins().ctl.parent().unwrap_or(Path::new("."));
        // Without it, every check would fail.
        if !runs(kit("up").arg(nixpkgs).arg(&root).env("PROGRAMS", programs)) {
            return ExitCode::FAILURE;
        }
        if hold {
            println!("EXEC={}\nHOST={}\nkept until standard input ends", enter.display(), root.display());
            let _ = std::io::stdin().read_line(&mut String::new());
            continue;
        }
        let [containers, strict, nixos_host, numbers] = GROUPS;
        let nix = host.ok(&["nix", "--version"]);
        let nix = nix.split_whitespace().last().unwrap_or_default();
        let mut report = Report::new(&format!("systemd {}, Nix {nix}", host.systemd()));
        let run = |report: &mut Report, command: &mut Command| {
            report.run(command).unwrap_or_else(|error| {
                report.line(false, &format!("{}: {error}", command.get_program().to_string_lossy()));
            });
        };
        if !only_numbers && !only_strict {
            report.group(containers);
            run(&mut report, kit("check").env("EXEC", &enter));
        }
        if !only_numbers {
            report.group(strict);
            run(&mut report, kit("check-strict").env("EXEC", &enter));
        }
        if suite == Suite::Trixie && !only_numbers && !only_strict {
            report.group(nixos_host);
            let tree = host.directory().join("nixos-host");
            run(&mut report, kit("check-host").arg(&root).arg(tree).env("EXEC", &enter));
        }
        let save = |report: &Report| {
            let path = path(suite.name());
            let old = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, merged(&old, report.text()))
                .unwrap_or_else(|error| eprintln!("{}: {error}", path.display()));
        };
        if record {
            save(&report);
        }
        // Last, because the host reboots.
        if !only_strict {
            report.group(numbers);
            nixos_numbers::measure(&host, &mut report);
        }
        if record {
            save(&report);
        }
        good &= report.good();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a command that runs a program of the kit.
fn kit(program: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos").join(program))
}

fn runs(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{}: {error}", command.get_program().to_string_lossy());
            false
        }
    }
}

//! The systemd generator of nixos-nspawn (`systemd.generator(7)`), and the unit helper that the generated drop-ins
//! run around nspawn. Exits with 0 on success, 1 if something was refused or failed, 2 on wrong arguments, and 78 if
//! a start is refused. It never panics across `main` and never aborts. As a generator it never blocks, never runs a
//! program, and never writes outside its output directory.

mod args;
mod failure;
mod generate;
mod log;
mod prepare;
mod proxy;
mod refuse;
mod release;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use nixos_nspawn_units::service::HELPER;

use crate::args::Mode;
use crate::failure::Failure;
use crate::log::Log;

fn main() -> ExitCode {
    let log = Log::start();
    // If a generator dies from a signal, systemd discards the output of all generators.
    std::panic::set_hook(Box::new(|_| {}));
    match catch_unwind(AssertUnwindSafe(|| run(&log))) {
        Ok(Ok(status)) => ExitCode::from(status),
        Ok(Err(Failure { status, message })) => {
            log.error(&message);
            ExitCode::from(status)
        }
        Err(panic) => {
            let what =
                panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            log.error(&format!("internal error, please report it: {}", what.unwrap_or("unknown")));
            ExitCode::from(1)
        }
    }
}

fn run(log: &Log) -> Result<u8, Failure> {
    let args = args::parse(std::env::args_os().skip(1))?;
    match args.mode {
        Mode::Generate(directory) => Ok(generate::generate(&args.root, &directory, log)),
        Mode::Prepare(name) => {
            prepare::prepare(&args.root, &name, log).map(|()| 0).inspect_err(|_| wait_for_start_record())
        }
        Mode::Release(name) => release::release(&args.root, &name, log).map(|()| 0),
        Mode::Proxy(name, port) => proxy::proxy(&args.root, &name, port, log).map(|()| 0),
        Mode::Refuse(name) => {
            wait_for_start_record();
            Err(refuse::refuse(&args.root, &name))
        }
        Mode::LockMounts(paths) => prepare::locked::hold(&paths).map(|()| 0),
        Mode::Version => {
            print(&format!("nixos-nspawn-generator {}\nunit-helper {HELPER}\n", env!("CARGO_PKG_VERSION")))
        }
        Mode::Help => print(args::HELP),
    }
}

/// Waits until PID 1 has recorded the unit's start.
///
/// PID 1 records it after it has forked this process, and `systemctl status` shows only later messages. Without the
/// wait, about one in forty refusals lacked its reason on a busy machine (systemd 262).
fn wait_for_start_record() {
    if std::env::var_os("INVOCATION_ID").is_some() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// Prints to standard output, which may be closed.
fn print(text: &str) -> Result<u8, Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("standard output: {error}")))?;
    Ok(0)
}

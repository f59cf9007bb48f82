//! The systemd generator of nixos-nspawn (`systemd.generator(7)`), and in its second mode the helper that the
//! generated drop-ins call around nspawn. Arguments go in, an exit status comes out: 0 all good, 1 something was
//! refused or failed, 2 wrong arguments, 78 a start is refused. It never panics across `main`, never aborts, and as a
//! generator never blocks, calls a program or writes outside of its output directory.

mod addresses;
mod args;
mod credentials;
mod devices;
mod generate;
mod hidden;
mod host_nix;
mod leader;
mod locked;
mod log;
mod network;
mod prepare;
mod proxy;
mod refuse;
mod release;
mod root_directory;
mod sources;
mod version;
mod way;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use nixos_nspawn_units::service::HELPER;

use args::Mode;
use log::Log;

/// What ends a run: the exit status and the message for people.
pub(crate) struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// A fault of the host or of a file: status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }
}

fn main() -> ExitCode {
    let log = Log::start();
    // A generator that dies from a signal takes the output of the host's other generators with it.
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
            prepare::prepare(&args.root, &name, log).map(|()| 0).inspect_err(|_| let_start_be_noted())
        }
        Mode::Release(name) => release::release(&args.root, &name, log).map(|()| 0),
        Mode::Proxy(name, port) => proxy::proxy(&args.root, &name, port, log).map(|()| 0),
        Mode::Refuse(name) => {
            let_start_be_noted();
            Err(refuse::refuse(&args.root, &name))
        }
        Mode::LockMounts(paths) => locked::hold(&paths).map(|()| 0),
        Mode::Version => {
            print(&format!("nixos-nspawn-generator {}\nunit-helper {HELPER}\n", env!("CARGO_PKG_VERSION")))
        }
        Mode::Help => print(args::HELP),
    }
}

/// `systemctl status` shows only what came after the unit's start was noted, and PID 1 notes it after it has forked us:
/// a reason that is there too early is not seen (once in some forty starts on a busy machine, systemd 262).
fn let_start_be_noted() {
    if std::env::var_os("INVOCATION_ID").is_some() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// To standard output, which may be closed.
fn print(text: &str) -> Result<u8, Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("standard output: {error}")))?;
    Ok(0)
}

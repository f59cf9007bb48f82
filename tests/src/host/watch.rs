//! Runs commands for `make demo`: prints each command line and its output as it comes.

use super::{Host, Timeout, command};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

impl Host {
    /// Prints and runs a shell command line on the host. Panics if it fails or takes more than two minutes.
    pub fn watch(&self, line: &str) {
        println!("\n\x1b[1mhost#\x1b[0m \x1b[36m{line}\x1b[0m");
        let _ = std::io::stdout().flush();
        let mut enter = self.enter();
        enter.args(["sh", "-c", line]).stdin(Stdio::null()).process_group(0);
        let mut child = enter.spawn().expect("sh");
        let mut status = None;
        command::wait_until(line, Timeout::after(Duration::from_secs(120)), || {
            status = child.try_wait().expect("wait");
            status.is_some()
        });
        let status = status.expect("just seen");
        assert!(status.success(), "`{line}`: {status}\n{}", self.journal(40));
    }
}

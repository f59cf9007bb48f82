//! Messages for people. As a generator run by PID 1 they go to /dev/kmsg, since neither the journal nor syslog may be
//! talked to at that time; otherwise to standard error, with a priority in front where the journal reads it.
//! A message that cannot be written is lost, never a reason to fail.

use std::fs::OpenOptions;
use std::io::Write;

const NAME: &str = "nixos-nspawn-generator";

/// A priority of `syslog(3)`.
#[derive(Clone, Copy)]
enum Priority {
    Error = 3,
    Warning = 4,
}

enum Target {
    Kmsg,
    Journal,
    Terminal,
}

/// Where messages go.
pub(crate) struct Log {
    target: Target,
}

impl Log {
    /// Finds out who runs the program.
    pub(crate) fn start() -> Self {
        let own = std::process::id().to_string();
        let by_manager = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == own);
        // PID 1 runs generators with SYSTEMD_SCOPE, services with JOURNAL_STREAM.
        let target = if by_manager && std::env::var_os("SYSTEMD_SCOPE").is_some() {
            Target::Kmsg
        } else if std::env::var_os("JOURNAL_STREAM").is_some() {
            Target::Journal
        } else {
            Target::Terminal
        };
        Self { target }
    }

    /// Something was refused or failed.
    pub(crate) fn error(&self, text: &str) {
        self.write(Priority::Error, text);
    }

    /// Something is odd, and what was done all the same.
    pub(crate) fn warning(&self, text: &str) {
        self.write(Priority::Warning, text);
    }

    fn write(&self, priority: Priority, text: &str) {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let priority = priority as u8;
            let to_stderr = |line: String| {
                let _ = std::io::stderr().write_all(line.as_bytes());
            };
            match self.target {
                Target::Terminal => to_stderr(format!("{NAME}: {line}\n")),
                Target::Journal => to_stderr(format!("<{priority}>{line}\n")),
                Target::Kmsg => {
                    // One write is one record. The facility is "daemon", as for systemd's own generators.
                    let record = format!("<{}>{NAME}[{}]: {line}\n", 3 << 3 | priority, std::process::id());
                    let kmsg = OpenOptions::new().write(true).open("/dev/kmsg");
                    if kmsg.and_then(|mut kmsg| kmsg.write_all(record.as_bytes())).is_err() {
                        // Containers have no /dev/kmsg.
                        to_stderr(format!("{NAME}: {line}\n"));
                    }
                }
            }
        }
    }
}

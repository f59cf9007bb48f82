//! Messages for people. As a generator run by PID 1 they go to /dev/kmsg, since neither the journal nor syslog may be
//! talked to at that time; otherwise to standard error, with a priority in front where the journal reads it.
//! A message that cannot be written is lost, never a reason to fail.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

const NAME: &str = "nixos-nspawn-generator";

/// How long a line may be, in bytes: the kernel refuses a record of more than 1024 (`devkmsg_write()`, kernel/printk), less
/// than that before Linux 6.4.
const LONGEST: usize = 900;

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
                    let line = beginning(line, LONGEST);
                    let record = format!("<{}>{NAME}[{}]: {line}\n", 3 << 3 | priority, std::process::id());
                    // Whatever stands there in a container: to open a pipe that nobody reads must not block.
                    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
                    let kmsg =
                        OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open("/dev/kmsg");
                    if kmsg.and_then(|mut kmsg| kmsg.write_all(record.as_bytes())).is_err() {
                        // Containers have no /dev/kmsg.
                        to_stderr(format!("{NAME}: {line}\n"));
                    }
                }
            }
        }
    }
}

/// The line, or as much of it as fits.
fn beginning(line: &str, longest: usize) -> Cow<'_, str> {
    if line.len() <= longest {
        return Cow::Borrowed(line);
    }
    let end = (0..=longest).rev().find(|end| line.is_char_boundary(*end)).unwrap_or_default();
    Cow::Owned(format!("{}...", &line[..end]))
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(beginning("abc", 3), "abc");
        assert_eq!(beginning("abcd", 3), "abc...");
        assert_eq!(beginning("aäöü", 4), "aä...");
        assert_eq!(beginning("äöü", 1), "...");
    }
}

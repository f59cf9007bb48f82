//! Log messages. When PID 1 runs the generator, they go to /dev/kmsg, because generators must use neither the journal
//! nor syslog. Otherwise they go to standard error, with a priority prefix if the journal reads it. A message that
//! cannot be written is dropped.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

const NAME: &str = "nixos-nspawn-generator";

/// The longest line in bytes. The kernel refuses records of more than 1024 bytes (`devkmsg_write()`, kernel/printk),
/// before Linux 6.4 of slightly fewer.
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

/// Writes messages to the place that suits the caller of the program.
pub(crate) struct Log {
    target: Target,
}

impl Log {
    /// Chooses the destination of messages by who runs the program.
    pub(crate) fn start() -> Self {
        let own = std::process::id().to_string();
        let by_manager = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == own);
        // PID 1 sets SYSTEMD_SCOPE for generators and JOURNAL_STREAM for services.
        let target = if by_manager && std::env::var_os("SYSTEMD_SCOPE").is_some() {
            Target::Kmsg
        } else if std::env::var_os("JOURNAL_STREAM").is_some() {
            Target::Journal
        } else {
            Target::Terminal
        };
        Self { target }
    }

    /// Logs that something was refused or failed.
    pub(crate) fn error(&self, text: &str) {
        self.write(Priority::Error, text);
    }

    /// Logs a problem that does not stop the run.
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
                    // In a container this may be anything: opening a pipe without a reader must not block.
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

/// Returns the line, cut after `longest` bytes.
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

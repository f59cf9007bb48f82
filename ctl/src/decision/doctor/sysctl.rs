//! Next steps that set parameters of the kernel.

use crate::decision::doctor::verdict::{Check, Level, Verdict};

/// Returns a verdict whose next step sets these parameters.
pub(super) fn to_set(level: Level, check: Check, text: String, settings: &[(String, u64)]) -> Verdict {
    let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let options: Vec<String> =
        settings.iter().map(|(key, value)| format!("boot.kernel.sysctl.\"{key}\" = {value}")).collect();
    Verdict::at(
        level,
        check,
        text,
        format!("sysctl -w {}, and put that into a file in /etc/sysctl.d", words.join(" ")),
    )
    .on_nixos(format!("set {}", options.join(" and ")))
}

/// Returns a value for a limit that is at least this much.
pub(super) fn round(number: u64) -> u64 {
    number.checked_next_power_of_two().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_or_an_option() {
        let settings = [("kernel.pid_max".to_owned(), 4096), ("kernel.threads-max".to_owned(), 8192)];
        let verdict = || to_set(Level::Warning, Check::of_host("x"), "x".into(), &settings);
        assert_eq!(
            verdict().for_host(false).next.as_deref(),
            Some(
                "sysctl -w kernel.pid_max=4096 kernel.threads-max=8192, and put that into a file in /etc/sysctl.d"
            )
        );
        assert_eq!(
            verdict().for_host(true).next.as_deref(),
            Some(
                "set boot.kernel.sysctl.\"kernel.pid_max\" = 4096 and boot.kernel.sysctl.\"kernel.threads-max\" = 8192"
            )
        );
        assert_eq!((round(5), round(8), round(u64::MAX)), (8, 8, u64::MAX));
    }
}

//! Judges limits of the kernel against the number of containers.

use crate::decision::doctor::verdict::Verdict;
use crate::decision::doctor::words::counted;
use crate::fact::doctor::limits::LimitsSeen;
use crate::fact::doctor::seen::Seen;

/// The inotify instances that the host and each container use: systemd, D-Bus, networkd and resolved have some each, and
/// all of them count for root, also those of user namespaces (the kernel's kernel/ucount.c).
const INSTANCES: (u64, u64) = (32, 8);

/// Likewise for watches.
const WATCHES: (u64, u64) = (1024, 256);

/// Likewise for threads.
const THREADS: (u64, u64) = (300, 60);

/// The user namespaces of a container with one: nspawn makes two, and services inside have their own.
const NAMESPACES: u64 = 8;

/// Judges the limits of inotify.
pub(crate) fn inotify(seen: &LimitsSeen) -> Verdict {
    const CHECK: &str = "inotify";
    let limits = [("instances", &seen.instances, INSTANCES), ("watches", &seen.watches, WATCHES)];
    for (what, limit, (base, each)) in limits {
        let limit = match limit {
            Ok(limit) => *limit,
            Err(unseen) => return Verdict::unseen(CHECK, unseen),
        };
        let needed = base + each * seen.containers;
        if limit < needed {
            let text = format!(
                "fs.inotify.max_user_{what} is {limit}, and the host with {} needs about {needed}; what exceeds it \
                 fails with 'Too many open files'",
                recorded(seen)
            );
            return Verdict::warning(CHECK, text, raise(&format!("fs.inotify.max_user_{what}"), needed));
        }
    }
    Verdict::ok(CHECK, format!("instances and watches suffice for {}", recorded(seen)))
}

/// Judges the limit of open files.
pub(crate) fn files(seen: &LimitsSeen) -> Verdict {
    const CHECK: &str = "open-files";
    match used(CHECK, &seen.files, 0) {
        Err(verdict) => verdict,
        Ok((used, limit, true)) => {
            let text = format!("{used} files of at most {limit} are open (fs.file-max)");
            Verdict::warning(CHECK, text, raise("fs.file-max", limit.saturating_mul(2)))
        }
        Ok((used, ..)) => Verdict::ok(CHECK, format!("{used} files are open, far from the limit")),
    }
}

/// Judges the limits of processes and threads.
pub(crate) fn processes(seen: &LimitsSeen) -> Verdict {
    const CHECK: &str = "processes";
    let needed = THREADS.0 + THREADS.1 * seen.containers;
    match used(CHECK, &seen.threads, needed) {
        Err(verdict) => verdict,
        Ok((used, limit, true)) => {
            let text = format!(
                "there are {used} threads of at most {limit}, and the host with {} needs about {needed}",
                recorded(seen)
            );
            let next = raise("kernel.pid_max", limit.max(needed).saturating_mul(2));
            Verdict::warning(CHECK, text, format!("{next}; the same with kernel.threads-max"))
        }
        Ok((used, limit, _)) => Verdict::ok(CHECK, format!("there are {used} threads of at most {limit}")),
    }
}

/// Judges the number of user namespaces.
pub(crate) fn namespaces(seen: &LimitsSeen) -> Verdict {
    const CHECK: &str = "user-namespaces";
    let limit = match &seen.namespaces {
        Ok(limit) => *limit,
        Err(unseen) => return Verdict::unseen(CHECK, unseen),
    };
    let needed = NAMESPACES * seen.mapped;
    let next = raise("user.max_user_namespaces", needed.max(1024));
    match (limit, seen.mapped) {
        (0, 0) => {
            Verdict::note(CHECK, "user.max_user_namespaces is 0, so userNamespacing cannot be used", next)
        }
        (0, mapped) => {
            let text = format!(
                "user.max_user_namespaces is 0, so {} with userNamespacing cannot start",
                counted(mapped as usize, "container")
            );
            Verdict::failure(CHECK, text, next)
        }
        (limit, mapped) if limit < needed => {
            let text = format!(
                "user.max_user_namespaces is {limit}, and {} with userNamespacing need about {needed}",
                counted(mapped as usize, "container")
            );
            Verdict::warning(CHECK, text, next)
        }
        _ => Verdict::ok(CHECK, format!("the kernel allows {limit}")),
    }
}

/// Returns what is used, the limit, and whether nearly all of it is, or less than what is needed.
fn used(check: &'static str, seen: &Seen<(u64, u64)>, needed: u64) -> Result<(u64, u64, bool), Verdict> {
    let (used, limit) = seen.as_ref().map_err(|unseen| Verdict::unseen(check, unseen))?;
    Ok((*used, *limit, *used > limit / 10 * 8 || *limit < needed))
}

fn recorded(seen: &LimitsSeen) -> String {
    counted(seen.containers as usize, "container")
}

/// Returns the command that raises a limit, to a round number.
fn raise(key: &str, needed: u64) -> String {
    let round = needed.checked_next_power_of_two().unwrap_or(needed);
    format!("sysctl -w {key}={round}, and put that into a file in /etc/sysctl.d")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    fn seen(containers: u64) -> LimitsSeen {
        LimitsSeen {
            containers,
            mapped: containers,
            instances: Ok(128),
            watches: Ok(65_536),
            files: Ok((1000, 100_000)),
            threads: Ok((500, 32_768)),
            namespaces: Ok(10_000),
        }
    }

    #[test]
    fn limits_and_containers() {
        let unseen = || Unseen { why: "x".into(), needs_root: false };
        let (ok, warning, failure) = (Level::Ok, Level::Warning, Level::Failure);
        for (seen, levels) in [
            (seen(1), [ok, ok, ok, ok]),
            (seen(12), [ok, ok, ok, ok]),
            (seen(13), [warning, ok, ok, ok]),
            (seen(1300), [warning, ok, warning, warning]),
            (LimitsSeen { instances: Ok(1 << 20), ..seen(1300) }, [warning, ok, warning, warning]),
            (LimitsSeen { files: Ok((80_001, 100_000)), ..seen(1) }, [ok, warning, ok, ok]),
            (LimitsSeen { threads: Ok((900, 1000)), ..seen(1) }, [ok, ok, warning, ok]),
            (LimitsSeen { namespaces: Ok(0), ..seen(1) }, [ok, ok, ok, failure]),
            (LimitsSeen { namespaces: Ok(0), mapped: 0, ..seen(1) }, [ok, ok, ok, Level::Note]),
            (LimitsSeen { watches: Err(unseen()), ..seen(1) }, [warning, ok, ok, ok]),
        ] {
            let verdicts = [inotify(&seen), files(&seen), processes(&seen), namespaces(&seen)];
            assert_eq!(verdicts.map(|verdict| verdict.level), levels, "{seen:?}");
        }
        let next = inotify(&seen(100)).next.unwrap();
        assert_eq!(
            next,
            "sysctl -w fs.inotify.max_user_instances=1024, and put that into a file in /etc/sysctl.d"
        );
    }
}

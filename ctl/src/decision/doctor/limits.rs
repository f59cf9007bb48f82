//! Judges limits of the kernel against the number of containers.

use crate::decision::doctor::sysctl::{round, to_set};
use crate::decision::doctor::verdict::{Check, Level, Verdict};
use crate::decision::doctor::words::{counted, listed};
use crate::fact::doctor::limits::LimitsSeen;

/// The inotify instances that the host and each container use: systemd, D-Bus, networkd and resolved have some each, and
/// all of them count for root, also those of user namespaces (the kernel's kernel/ucount.c).
const INSTANCES: (u64, u64) = (32, 8);

/// Likewise for watches.
const WATCHES: (u64, u64) = (1024, 256);

/// Likewise for threads.
const THREADS: (u64, u64) = (300, 60);

/// Likewise for open files, which processes also have of the programs and libraries that they map: a host with systemd alone has
/// about 400, and some 25 a process.
const FILES: (u64, u64) = (4096, 1024);

/// The user namespaces of a container with one: nspawn makes two, and services inside have their own.
const NAMESPACES: u64 = 8;

/// Judges the limits of inotify.
pub(crate) fn inotify(seen: &LimitsSeen) -> Verdict {
    const CHECK: Check = Check::of_containers("inotify");
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
            let setting = (format!("fs.inotify.max_user_{what}"), round(needed));
            return to_set(Level::Warning, CHECK, text, &[setting]);
        }
    }
    Verdict::ok(CHECK, format!("instances and watches suffice for {}", recorded(seen)))
}

/// Judges the limit of open files.
pub(crate) fn files(seen: &LimitsSeen) -> Verdict {
    const CHECK: Check = Check::of_containers("open-files");
    let needed = FILES.0 + FILES.1 * seen.containers;
    match seen.files {
        Err(ref unseen) => Verdict::unseen(CHECK, unseen),
        Ok((used, limit)) if scarce(used, limit, needed) => {
            let text = format!(
                "{used} files of at most {limit} are open (fs.file-max), and the host with {} needs about {needed}; what \
                 exceeds it fails with 'Too many open files in system'",
                recorded(seen)
            );
            let setting = ("fs.file-max".to_owned(), round(limit.max(needed).saturating_mul(2)));
            to_set(Level::Warning, CHECK, text, &[setting])
        }
        Ok((used, _)) => Verdict::ok(
            CHECK,
            format!("{used} files are open, and the limit suffices for {}", recorded(seen)),
        ),
    }
}

/// Judges the limits of processes and threads.
pub(crate) fn processes(seen: &LimitsSeen) -> Verdict {
    const CHECK: Check = Check::of_containers("processes");
    let needed = THREADS.0 + THREADS.1 * seen.containers;
    let (used, limits) = match (&seen.threads, &seen.pid_max, &seen.threads_max) {
        (Ok(used), Ok(pids), Ok(threads)) => {
            (*used, [("kernel.pid_max", *pids, MOST_PIDS), ("kernel.threads-max", *threads, u64::MAX)])
        }
        (Err(unseen), ..) | (_, Err(unseen), _) | (.., Err(unseen)) => return Verdict::unseen(CHECK, unseen),
    };
    let limit = limits[0].1.min(limits[1].1);
    let binding: Vec<_> = limits.into_iter().filter(|(_, limit, _)| scarce(used, *limit, needed)).collect();
    if binding.is_empty() {
        return Verdict::ok(CHECK, format!("there are {used} threads of at most {limit}"));
    }
    let keys: Vec<&str> = binding.iter().map(|(key, ..)| *key).collect();
    let text = format!(
        "there are {used} threads of at most {limit} ({}), and the host with {} needs about {needed}",
        listed(&keys),
        recorded(seen)
    );
    let more = |(key, limit, most): &(&str, u64, u64)| {
        let value = round(limit.max(&needed).saturating_mul(2)).min(*most);
        (value > *limit).then(|| ((*key).to_owned(), value))
    };
    let more: Vec<(String, u64)> = binding.iter().filter_map(more).collect();
    match more.is_empty() {
        true => Verdict::warning(CHECK, text, "stop something that makes threads"),
        false => to_set(Level::Warning, CHECK, text, &more),
    }
}

/// The largest kernel.pid_max of 64-bit systems (`proc_sys_kernel(5)`).
const MOST_PIDS: u64 = 1 << 22;

/// Judges the number of user namespaces.
pub(crate) fn namespaces(seen: &LimitsSeen) -> Verdict {
    const CHECK: Check = Check::of_containers("user-namespaces");
    let limit = match &seen.namespaces {
        Ok(limit) => *limit,
        Err(unseen) => return Verdict::unseen(CHECK, unseen),
    };
    let needed = NAMESPACES * seen.mapped;
    let setting = [("user.max_user_namespaces".to_owned(), round(needed.max(1024)))];
    match (limit, seen.mapped) {
        (0, 0) => {
            let text = "user.max_user_namespaces is 0, so userNamespacing cannot be used";
            to_set(Level::Note, CHECK, text.to_owned(), &setting)
        }
        (0, mapped) => {
            let text = format!(
                "user.max_user_namespaces is 0, so {} with userNamespacing cannot start",
                counted(mapped as usize, "container")
            );
            to_set(Level::Failure, CHECK, text, &setting)
        }
        (limit, mapped) if limit < needed => {
            let text = format!(
                "user.max_user_namespaces is {limit}, and {} with userNamespacing need about {needed}",
                counted(mapped as usize, "container")
            );
            to_set(Level::Warning, CHECK, text, &setting)
        }
        _ => Verdict::ok(CHECK, format!("the kernel allows {limit}")),
    }
}

/// Returns whether nearly all of a limit is used, or it is less than what is needed.
fn scarce(used: u64, limit: u64, needed: u64) -> bool {
    used > limit / 10 * 8 || limit < needed
}

fn recorded(seen: &LimitsSeen) -> String {
    counted(seen.containers as usize, "container")
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
            threads: Ok(500),
            pid_max: Ok(32_768),
            threads_max: Ok(32_768),
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
            (seen(93), [warning, ok, ok, ok]),
            (seen(94), [warning, warning, ok, ok]),
            (seen(1300), [warning; 4]),
            (LimitsSeen { instances: Ok(1 << 20), ..seen(1300) }, [warning; 4]),
            (LimitsSeen { files: Ok((80_001, 100_000)), ..seen(1) }, [ok, warning, ok, ok]),
            (LimitsSeen { threads: Ok(900), pid_max: Ok(1000), ..seen(1) }, [ok, ok, warning, ok]),
            (LimitsSeen { namespaces: Ok(0), ..seen(1) }, [ok, ok, ok, failure]),
            (LimitsSeen { namespaces: Ok(0), mapped: 0, ..seen(1) }, [ok, ok, ok, Level::Note]),
            (LimitsSeen { watches: Err(unseen()), ..seen(1) }, [warning, ok, ok, ok]),
        ] {
            let verdicts = [inotify(&seen), files(&seen), processes(&seen), namespaces(&seen)];
            assert_eq!(verdicts.map(|verdict| verdict.level), levels, "{seen:?}");
        }
        for (pid_max, threads_max, next) in [
            (1 << 22, 1000, "sysctl -w kernel.threads-max=2048, and put that into a file in /etc/sysctl.d"),
            (1000, 60_000, "sysctl -w kernel.pid_max=2048, and put that into a file in /etc/sysctl.d"),
            (
                1000,
                1000,
                "sysctl -w kernel.pid_max=2048 kernel.threads-max=2048, and put that into a file in /etc/sysctl.d",
            ),
        ] {
            let seen = LimitsSeen {
                threads: Ok(900),
                pid_max: Ok(pid_max),
                threads_max: Ok(threads_max),
                ..seen(1)
            };
            assert_eq!(processes(&seen).next.as_deref(), Some(next));
        }
        let most =
            LimitsSeen { threads: Ok(4 << 20), pid_max: Ok(1 << 22), threads_max: Ok(1 << 30), ..seen(1) };
        assert_eq!(processes(&most).next.as_deref(), Some("stop something that makes threads"));
        let next = files(&seen(94)).next.unwrap();
        assert_eq!(next, "sysctl -w fs.file-max=262144, and put that into a file in /etc/sysctl.d");
        let next = inotify(&seen(100)).next.unwrap();
        assert_eq!(
            next,
            "sysctl -w fs.inotify.max_user_instances=1024, and put that into a file in /etc/sysctl.d"
        );
    }
}

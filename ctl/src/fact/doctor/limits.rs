//! Limits of the kernel that all containers share.

use std::fs;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::Overview;

/// The limits, and how many containers there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitsSeen {
    /// The containers that are recorded.
    pub(crate) containers: u64,
    /// Those of them with a user namespace.
    pub(crate) mapped: u64,
    /// fs.inotify.max_user_instances
    pub(crate) instances: Seen<u64>,
    /// fs.inotify.max_user_watches
    pub(crate) watches: Seen<u64>,
    /// The open files, and fs.file-max.
    pub(crate) files: Seen<(u64, u64)>,
    /// The threads.
    pub(crate) threads: Seen<u64>,
    /// kernel.pid_max
    pub(crate) pid_max: Seen<u64>,
    /// kernel.threads-max
    pub(crate) threads_max: Seen<u64>,
    /// user.max_user_namespaces
    pub(crate) namespaces: Seen<u64>,
}

impl LimitsSeen {
    /// Reads the limits of the running system.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Self {
        let intents = || overview.containers.values().filter_map(|one| one.intent.as_ref());
        let mapped = intents().filter(|intent| intent.container.in_user_namespace()).count();
        let number = |path| words(host, path).and_then(|words| first(path, &words, 0));
        let files = words(host, FILES).and_then(|words| {
            Ok((first(FILES, &words, 0)?.saturating_sub(first(FILES, &words, 1)?), first(FILES, &words, 2)?))
        });
        let threads = words(host, LOAD).and_then(|words| {
            let all = words.get(3).and_then(|word| word.split_once('/')).map(|(_, all)| all.to_owned());
            first(LOAD, &Vec::from_iter(all), 0)
        });
        Self {
            containers: intents().count() as u64,
            mapped: mapped as u64,
            instances: number("/proc/sys/fs/inotify/max_user_instances"),
            watches: number("/proc/sys/fs/inotify/max_user_watches"),
            files,
            threads,
            pid_max: number("/proc/sys/kernel/pid_max"),
            threads_max: number("/proc/sys/kernel/threads-max"),
            namespaces: number("/proc/sys/user/max_user_namespaces"),
        }
    }
}

/// The allocated and the unused handles, and the limit (`proc_sys_fs(5)`).
const FILES: &str = "/proc/sys/fs/file-nr";

/// The fourth word has the number of threads (`proc_loadavg(5)`).
const LOAD: &str = "/proc/loadavg";

fn words(host: &Host, path: &str) -> Seen<Vec<String>> {
    let path = host.path(path);
    let text = fs::read_to_string(&path).map_err(|error| Unseen::path(&path, &error))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn first(path: &str, words: &[String], at: usize) -> Seen<u64> {
    let number = words.get(at).and_then(|word| word.parse().ok());
    number.ok_or_else(|| Unseen { why: format!("{path}: unexpected contents"), needs_root: false })
}

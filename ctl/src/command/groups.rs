//! Work on many containers that is done for several at once, and answered for each.

use std::slice;

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::change::several::Results;

/// Returns how many of `count` containers are worked on at once. A group costs about as much as one container, most of all a
/// daemon-reload and the reading of all intents; a command that is killed leaves at most a group to be settled. So that
/// twice as many containers do not cost four times as much, there are at most twenty groups, up to 10,000 containers: a lock
/// is held for each of a group, and a process may have 1024 open files.
fn group(count: usize) -> usize {
    count.div_ceil(20).clamp(100, 500)
}

/// The results of work on containers, which is done for a group when the first of it is asked for.
pub(super) struct Groups<'a, R> {
    names: slice::Chunks<'a, MachineName>,
    results: Results<R>,
}

impl<'a, R> Groups<'a, R> {
    /// Divides the names into groups. What changes nothing is done for all at once.
    pub(super) fn new(names: &'a [MachineName], dry_run: bool) -> Self {
        let size = if dry_run { names.len().max(1) } else { group(names.len()) };
        Self { names: names.chunks(size), results: Results::new() }
    }

    /// Returns the result of the next container, or of one again that has failed. After an interrupt no group is begun.
    pub(super) fn result(
        &mut self,
        name: &MachineName,
        mut work: impl FnMut(&[MachineName]) -> Results<R>,
    ) -> Result<R> {
        if let Some(result) = self.results.remove(name) {
            return result;
        }
        interrupt::check()?;
        let mut following = self.names.clone();
        let group = match following.next() {
            Some(group) if group.first() == Some(name) => {
                self.names = following;
                group
            }
            _ => slice::from_ref(name),
        };
        self.results.extend(work(group));
        let missing = || Err(Failed::Program(format!("container '{name}' was left out")).into());
        self.results.remove(name).unwrap_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_most_twenty_groups() {
        for (count, size) in [(0, 100), (120, 100), (2000, 100), (2001, 101), (10_000, 500), (20_000, 500)] {
            assert_eq!(group(count), size, "{count}");
        }
    }

    #[test]
    fn each_group_is_worked_on_once() {
        let names: Vec<MachineName> = (0..120).map(|number| format!("c{number}").parse().unwrap()).collect();
        let mut groups = Groups::new(&names, false);
        let mut worked = Vec::new();
        for name in &names {
            let result = groups.result(name, |group| {
                worked.push(group.len());
                group.iter().map(|name| (name.clone(), Ok(name.clone()))).collect()
            });
            assert_eq!(result.unwrap(), *name);
        }
        assert_eq!(worked, [100, 20]);
        // One is tried again by itself.
        let again = groups.result(&names[70], |group| {
            worked.push(group.len());
            group.iter().map(|name| (name.clone(), Ok(name.clone()))).collect()
        });
        assert_eq!((again.unwrap(), worked.last()), (names[70].clone(), Some(&1)));
    }
}

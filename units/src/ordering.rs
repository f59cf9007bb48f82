//! The order in which containers start, as far as they declare it: cycles, and the containers that start at boot.
//! Dependencies through other units of the host are not known here.

use std::collections::{BTreeMap, BTreeSet};

use crate::intent::{Dependency, Intent};
use crate::name::MachineName;

/// The order among containers.
#[derive(Debug, Default)]
pub(crate) struct Order<'a> {
    /// All containers by name.
    names: Vec<&'a MachineName>,
    at: BTreeMap<&'a str, usize>,
    /// For each, the containers it waits for.
    before: Vec<Vec<usize>>,
    /// For each, the containers it pulls in.
    pulls: Vec<Vec<usize>>,
    /// For each, the cycle it is part of.
    cycle: Vec<Option<usize>>,
    cycles: Vec<Vec<usize>>,
}

/// Returns what a container waits for: `requires` alone does not order, but whoever needs a container expects it to
/// run.
pub fn waits_for(intent: &Intent) -> impl Iterator<Item = &Dependency> {
    intent.container.after.iter().chain(&intent.container.requires)
}

/// Returns the names in `after`, `requires` and `wants` that are not among the containers in `known`.
pub fn unknown(intent: &Intent, known: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let all = waits_for(intent).chain(&intent.container.wants);
    all.filter_map(Dependency::container).filter(|name| !known(name)).collect()
}

impl<'a> Order<'a> {
    /// Returns the order of these containers; with `always`, also if none of them declares any.
    pub(crate) fn of(
        intents: impl Iterator<Item = (&'a MachineName, &'a Intent)> + Clone,
        always: bool,
    ) -> Self {
        let says = |intent: &Intent| waits_for(intent).next().is_some();
        if !always && !intents.clone().any(|(_, intent)| says(intent)) {
            return Self::default();
        }
        let mut all: Vec<_> = intents.collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let mut order = Self {
            names: all.iter().map(|(name, _)| *name).collect(),
            at: all.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect(),
            ..Self::default()
        };
        for (_, intent) in &all {
            let known = |other: &Dependency| order.at.get(other.container()?).copied();
            let before = waits_for(intent).filter_map(known).collect();
            let pulls = intent.container.requires.iter().chain(&intent.container.wants);
            let pulls = pulls.filter_map(known).collect();
            order.before.push(before);
            order.pulls.push(pulls);
        }
        order.cycles = cycles(&order.before);
        order.cycle = cycle_of(&order.cycles, order.names.len());
        order
    }

    /// Returns the warning for a container that waits for itself. systemd would drop the start of one of the cycle.
    pub(crate) fn warning(&self, name: &MachineName) -> Option<String> {
        const SHOWN: usize = 5;
        let at = *self.at.get(name.as_str())?;
        let members = &self.cycles[self.cycle[at]?];
        let others: Vec<usize> = members.iter().copied().filter(|member| *member != at).collect();
        let mut text: Vec<String> =
            others.iter().take(SHOWN).map(|other| format!("'{}'", self.names[*other])).collect();
        if others.len() > SHOWN {
            text.push(format!("{} others", others.len() - SHOWN));
        }
        let text = text.join(", ");
        Some(format!("waits for itself through {text} (after, requires); the order among them is left out"))
    }

    /// Returns whether the drop-in leaves out that a container waits for another, since both are in the same cycle.
    pub(crate) fn leaves_out(&self, name: &MachineName, other: &Dependency) -> bool {
        let cycle = |name: &str| self.at.get(name).and_then(|at| self.cycle[*at]);
        let other = other.container().and_then(cycle);
        other.is_some() && other == cycle(name.as_str())
    }

    /// Returns the containers that start at boot, by themselves or pulled in, each after all that it waits for, else by
    /// name.
    pub(crate) fn at_boot(&self, autostart: impl Fn(&MachineName) -> bool) -> Vec<&'a MachineName> {
        let mut starts = vec![false; self.names.len()];
        let mut next: Vec<usize> = (0..self.names.len()).filter(|at| autostart(self.names[*at])).collect();
        while let Some(at) = next.pop() {
            if !std::mem::replace(&mut starts[at], true) {
                next.extend(&self.pulls[at]);
            }
        }
        let sorted = in_order(&self.before, &self.cycle).into_iter();
        sorted.filter(|at| starts[*at]).map(|at| self.names[at]).collect()
    }
}

/// Returns the numbers from 0 on so that each comes after those that it waits for, of which there is a list for each, and
/// otherwise in their order. Those of a cycle do not wait for one another. Takes time in proportion to the lists.
pub fn sorted(before: &[Vec<usize>]) -> Vec<usize> {
    in_order(before, &cycle_of(&cycles(before), before.len()))
}

/// Returns for each of `count` numbers the cycle that it is part of.
fn cycle_of(cycles: &[Vec<usize>], count: usize) -> Vec<Option<usize>> {
    let mut of = vec![None; count];
    for (number, members) in cycles.iter().enumerate() {
        for member in members {
            of[*member] = Some(number);
        }
    }
    of
}

fn in_order(before: &[Vec<usize>], cycle: &[Option<usize>]) -> Vec<usize> {
    let mut missing = vec![0_usize; before.len()];
    let mut after = vec![Vec::new(); before.len()];
    for (at, before) in before.iter().enumerate() {
        let apart = |other: &usize| *other != at && (cycle[at].is_none() || cycle[at] != cycle[*other]);
        for other in before.iter().filter(|other| apart(other)) {
            missing[at] += 1;
            after[*other].push(at);
        }
    }
    let mut ready: BTreeSet<usize> = (0..before.len()).filter(|at| missing[*at] == 0).collect();
    let mut sorted = Vec::with_capacity(before.len());
    while let Some(at) = ready.pop_first() {
        sorted.push(at);
        for later in &after[at] {
            missing[*later] -= 1;
            if missing[*later] == 0 {
                ready.insert(*later);
            }
        }
    }
    sorted
}

/// Returns the strongly connected components of more than one member (Tarjan), each sorted. Without recursion, since
/// the length of a chain of containers is unbounded.
fn cycles(before: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let count = before.len();
    let (mut index, mut low, mut on_stack) = (vec![NEW; count], vec![0; count], vec![false; count]);
    let (mut stack, mut found, mut counter) = (Vec::new(), Vec::new(), 0);
    for root in 0..count {
        if index[root] != NEW {
            continue;
        }
        // A node, and how many of its edges have been followed.
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let at = *node;
            if *edge == 0 && index[at] == NEW {
                index[at] = counter;
                low[at] = counter;
                counter += 1;
                stack.push(at);
                on_stack[at] = true;
            }
            if let Some(next) = before[at].get(*edge).copied() {
                *edge += 1;
                if index[next] == NEW {
                    path.push((next, 0));
                } else if on_stack[next] {
                    low[at] = low[at].min(index[next]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[at]);
            }
            if low[at] == index[at] {
                let begin = stack.iter().rposition(|member| *member == at).unwrap_or_default();
                let mut members = stack.split_off(begin);
                members.iter().for_each(|member| on_stack[*member] = false);
                if members.len() > 1 {
                    members.sort_unstable();
                    found.push(members);
                }
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::testing::with_options;

    fn intents(texts: &[(&str, &str)]) -> Vec<(MachineName, Intent)> {
        let parsed = texts.iter().map(|(name, container)| {
            let name: MachineName = name.parse().unwrap();
            let intent = with_options(&name, container).unwrap();
            (name, intent)
        });
        parsed.collect()
    }

    fn order(intents: &[(MachineName, Intent)]) -> Order<'_> {
        Order::of(intents.iter().map(|(name, intent)| (name, intent)), true)
    }

    #[test]
    fn cycles_are_found_wherever_they_are() {
        assert_eq!(cycles(&[vec![1], vec![2], vec![]]), [] as [Vec<usize>; 0]);
        assert_eq!(cycles(&[vec![1], vec![2], vec![1], vec![0, 2]]), [vec![1, 2]]);
        assert_eq!(cycles(&[vec![1, 2], vec![0], vec![3], vec![4], vec![2]]), [vec![0, 1], vec![2, 3, 4]]);
        let long: Vec<Vec<usize>> = (0..100_000).map(|at| vec![(at + 1) % 100_000]).collect();
        assert_eq!(cycles(&long).len(), 1);
    }

    #[test]
    fn each_after_those_that_it_waits_for() {
        // The last waits for the first of a cycle, and one for itself.
        assert_eq!(sorted(&[vec![2], vec![], vec![3], vec![2], vec![4, 1], vec![0]]), [1, 2, 0, 3, 4, 5]);
        let chain: Vec<Vec<usize>> = (0..100_000).map(|at| vec![at + 1]).chain([Vec::new()]).collect();
        assert!(sorted(&chain).into_iter().eq((0..=100_000).rev()));
    }

    #[test]
    fn the_order_at_boot() {
        let intents = intents(&[
            ("a", r#"{"after":["z"]}"#),
            ("b", r#"{"requires":["m"]}"#),
            ("m", r#"{"activation":{"autoStart":false},"after":["systemd-nspawn@z.service"]}"#),
            ("off", r#"{"activation":{"autoStart":false}}"#),
            ("z", "{}"),
        ]);
        let order = order(&intents);
        let autostart = |name: &MachineName| {
            intents.iter().any(|(other, intent)| other == name && intent.starts_at_boot())
        };
        let names: Vec<&str> = order.at_boot(autostart).into_iter().map(MachineName::as_str).collect();
        assert_eq!(names, ["z", "a", "m", "b"]);
    }

    #[test]
    fn a_cycle_warns_its_members_only() {
        let intents = intents(&[
            ("a", r#"{"after":["b"]}"#),
            ("b", r#"{"requires":["a", "c"]}"#),
            ("c", "{}"),
            ("d", r#"{"after":["a"]}"#),
        ]);
        let order = order(&intents);
        let warning = |at: usize| order.warning(&intents[at].0);
        assert!(warning(0).unwrap().starts_with("waits for itself through 'b' (after, requires)"));
        assert!(warning(1).unwrap().contains("'a'"));
        assert_eq!((warning(2), warning(3)), (None, None));
        let leaves_out = |at: usize, other: &str| order.leaves_out(&intents[at].0, &other.parse().unwrap());
        assert!(leaves_out(0, "b") && leaves_out(1, "systemd-nspawn@a.service"));
        assert!(!leaves_out(1, "c") && !leaves_out(3, "a") && !leaves_out(0, "x.service"));
        assert_eq!(order.at_boot(|_| true).len(), 4);
    }
}

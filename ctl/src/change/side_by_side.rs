//! Updates several containers, each as soon as it is built and after those that it waits for. Builds and updates have
//! threads with hosts of their own, whose events are reported by the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Loaded;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::ahead::Ahead;
use crate::change::next::MadeAhead;
use crate::change::update::update;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::Updated;
use crate::decision::activation_order::not_beside;
use crate::nix::cause::Unbuilt;
use crate::nix::tool::Nix;

/// What a thread needs.
type Parts = (crate::base::host::Parts, crate::nix::tool::Parts);

/// What a thread sends.
enum Sent {
    /// Something to report.
    Event(Event),
    /// A build, by number, has ended.
    Built(usize, Box<Result<StorePath, Unbuilt>>),
    /// There are no more builds.
    AllBuilt,
    /// The update of a container, by number, is done.
    Done(usize, Box<Result<Updated>>, Duration),
}

/// How many builds and activations may run at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of builds.
    pub(crate) builds: usize,
    /// Of activations.
    pub(crate) activations: usize,
}

/// An update, by the number of its container, and how long it took.
pub(crate) type Timed = (usize, Result<Updated>, Duration);

/// Updates these containers, which are in their order, each as soon as it is built and those that it waits for are
/// updated. Returns the results in the same order; after an interrupt, of those that were begun.
pub(crate) fn update_all(
    host: &Host,
    nix: &Nix,
    (loaded, names): (&Loaded, &[MachineName]),
    options: &UpdateOptions,
    limits: Limits,
) -> Vec<Timed> {
    let builds = Ahead::prepare(host, nix, loaded, names, options);
    let (sender, sent) = channel();
    let mut state = State::new(loaded, names, builds.names());
    thread::scope(|scope| {
        if !state.building.is_empty() {
            host.report(Event::Building { names: builds.names() });
            let (sender, builds, parts) = (sender.clone(), &builds, (host.parts(), nix.parts()));
            let run = move || build(parts, builds, limits.builds, &sender);
            if thread::Builder::new().spawn_scoped(scope, run).is_err() {
                // The updates build by themselves.
                state.building.clear();
            }
        }
        loop {
            if interrupt::check().is_err() {
                state.due.clear();
            }
            for at in state.next(limits.activations) {
                let (sender, name) = (sender.clone(), &names[at]);
                let (made, parts) = (state.made.remove(name), (host.parts(), nix.parts()));
                let begun = Instant::now();
                let update = move || {
                    let result = one(parts, name, options, made, &sender);
                    let _ = sender.send(Sent::Done(at, Box::new(result), begun.elapsed()));
                };
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, update) {
                    let why = format!(
                        "container '{name}' was not updated, nothing was changed: no thread: {error}"
                    );
                    state.done(at, Err(Failed::Program(why).into()), begun.elapsed());
                }
            }
            match (state.running, state.due.is_empty(), state.building.is_empty()) {
                (0, true, _) => break,
                // None of those that were due had a thread.
                (0, false, true) => continue,
                _ => {}
            }
            match sent.recv() {
                Ok(Sent::Event(event)) => host.report(event),
                Ok(Sent::Built(at, output)) => state.built(at, builds.made(host, nix, at, *output)),
                Ok(Sent::AllBuilt) => state.building.clear(),
                Ok(Sent::Done(at, result, time)) => state.done(at, *result, time),
                Err(_) => break,
            }
        }
    });
    state.results.sort_by_key(|(at, ..)| *at);
    state.results
}

/// What is done, and what is still to be done.
struct State<'a> {
    names: &'a [MachineName],
    /// The containers that each one waits for: only earlier ones, so that a cycle does not wait for ever.
    waits: Vec<BTreeSet<usize>>,
    begun: Instant,
    /// The names of the builds, by number.
    builds: Vec<MachineName>,
    /// The builds that have not ended.
    building: BTreeSet<MachineName>,
    made: BTreeMap<MachineName, MadeAhead>,
    /// How long the builds took.
    times: BTreeMap<MachineName, Duration>,
    due: Vec<usize>,
    running: usize,
    /// Those that are done.
    over: BTreeSet<usize>,
    results: Vec<Timed>,
}

impl<'a> State<'a> {
    fn new(loaded: &Loaded, names: &'a [MachineName], builds: Vec<MachineName>) -> Self {
        Self {
            names,
            waits: not_beside(loaded, names),
            begun: Instant::now(),
            building: builds.iter().cloned().collect(),
            builds,
            made: BTreeMap::new(),
            times: BTreeMap::new(),
            due: (0..names.len()).collect(),
            running: 0,
            over: BTreeSet::new(),
            results: Vec::new(),
        }
    }

    /// Takes the containers whose update can begin.
    fn next(&mut self, limit: usize) -> Vec<usize> {
        let ready =
            |at: &usize| !self.building.contains(&self.names[*at]) && self.waits[*at].is_subset(&self.over);
        let next: Vec<usize> =
            self.due.iter().copied().filter(ready).take(limit.max(1) - self.running).collect();
        self.due.retain(|at| !next.contains(at));
        self.running += next.len();
        next
    }

    fn built(&mut self, at: usize, made: Option<MadeAhead>) {
        let name = self.builds[at].clone();
        self.building.remove(&name);
        self.times.insert(name.clone(), self.begun.elapsed());
        if let Some(made) = made {
            self.made.insert(name, made);
        }
    }

    fn done(&mut self, at: usize, result: Result<Updated>, time: Duration) {
        self.running -= 1;
        self.over.insert(at);
        let build = self.times.get(&self.names[at]).copied().unwrap_or_default();
        self.results.push((at, result, build + time));
    }
}

/// Builds in a thread.
fn build((host, nix): Parts, builds: &Ahead, jobs: usize, sender: &Sender<Sent>) {
    let events = sender.clone();
    let host = Host::of_parts(host, Box::new(move |event| drop(events.send(Sent::Event(event)))));
    let nix = Nix::of_parts(&host, nix);
    let built = |at, output| drop(sender.send(Sent::Built(at, Box::new(output))));
    // A bug must not leave the updates waiting: they build by themselves.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builds.build(&nix, jobs, &built)));
    let _ = sender.send(Sent::AllBuilt);
}

/// Updates one container in a thread.
fn one(
    (host, nix): Parts,
    name: &MachineName,
    options: &UpdateOptions,
    ahead: Option<MadeAhead>,
    sender: &Sender<Sent>,
) -> Result<Updated> {
    let events = sender.clone();
    let host = Host::of_parts(host, Box::new(move |event| drop(events.send(Sent::Event(event)))));
    let nix = Nix::of_parts(&host, nix);
    // A bug in one update must not leave the others waiting.
    let update = || update(&host, &nix, name, options, ahead);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(update))
        .unwrap_or_else(|_| Err(anyhow!("container '{name}' was not updated: the program has a bug")))
}

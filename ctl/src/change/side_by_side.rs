//! Updates several containers at the same time, each after those that it waits for. Each has a thread with a host of its
//! own, whose events are reported by the caller's.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Loaded;

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
use crate::nix::tool::Nix;

/// What a thread sends.
enum Sent {
    /// Something to report.
    Event(Event),
    /// Its container, by number, is done.
    Done(usize, Box<Result<Updated>>, Duration),
}

/// Updates these containers, which are in their order, at most `jobs` at the same time. Returns the results in the same
/// order; after an interrupt, of those that were begun.
pub(crate) fn update_all(
    host: &Host,
    nix: &Nix,
    (loaded, names): (&Loaded, &[MachineName]),
    options: &UpdateOptions,
    mut ahead: Ahead,
    jobs: usize,
) -> Vec<(usize, Result<Updated>, Duration)> {
    // Only earlier ones, so that a cycle does not wait for ever.
    let waits: Vec<Vec<MachineName>> =
        (0..names.len()).map(|at| not_beside(loaded, &names[at], &names[..at])).collect();
    let mut due: Vec<usize> = (0..names.len()).collect();
    let mut results: Vec<(usize, Result<Updated>, Duration)> = Vec::new();
    let (sender, sent) = channel();
    thread::scope(|scope| {
        let mut running = 0;
        loop {
            if interrupt::check().is_err() {
                due.clear();
            }
            let over = |name: &MachineName| results.iter().any(|(at, ..)| names[*at] == *name);
            let (ready, later): (Vec<usize>, Vec<usize>) =
                due.iter().partition(|at| waits[**at].iter().all(over));
            let (now, waiting) = ready.split_at(ready.len().min(jobs.max(1) - running));
            due = [waiting, &later].concat();
            for at in now.iter().copied() {
                let (sender, name) = (sender.clone(), &names[at]);
                let (ahead, parts) = (ahead.remove(name), (host.parts(), nix.parts()));
                let begun = Instant::now();
                let update = move || {
                    let result = one(parts, name, options, ahead, &sender);
                    let _ = sender.send(Sent::Done(at, Box::new(result), begun.elapsed()));
                };
                match thread::Builder::new().spawn_scoped(scope, update) {
                    Ok(_) => running += 1,
                    Err(error) => {
                        let why = format!(
                            "container '{name}' was not updated, nothing was changed: no thread: {error}"
                        );
                        results.push((at, Err(Failed::Program(why).into()), begun.elapsed()));
                    }
                }
            }
            match running {
                0 if due.is_empty() => break,
                // None of those that were due had a thread.
                0 => continue,
                _ => {}
            }
            match sent.recv() {
                Ok(Sent::Event(event)) => host.report(event),
                Ok(Sent::Done(at, result, time)) => {
                    running -= 1;
                    results.push((at, *result, time));
                }
                Err(_) => break,
            }
        }
    });
    results.sort_by_key(|(at, ..)| *at);
    results
}

/// Updates one container in a thread.
fn one(
    (host, nix): (crate::base::host::Parts, crate::nix::tool::Parts),
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

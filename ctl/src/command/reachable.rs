//! Where containers that were just started can be reached, for those who read the answer.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use nixos_nspawn_units::intent::Container;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::change::updated::Updated;
use crate::fact::lookup::imperative;
use crate::fact::reachable::{PATIENCE, Reachable};
use crate::host::last_activation::AppliedAction;

/// Returns where a running container can be reached. Text in a pipe does not say it, and so does not wait.
pub(crate) fn reachable(context: &Context, name: &MachineName, container: &Container) -> Reachable {
    of(context, name, container, PATIENCE)
}

fn of(context: &Context, name: &MachineName, container: &Container, patience: Duration) -> Reachable {
    if context.live() && (context.json || stdout().is_terminal()) {
        Reachable::of(context, name, container, patience)
    } else {
        Reachable::default()
    }
}

/// Adds where the containers that were started, reloaded or restarted can be reached. Waits for a single one only.
pub(crate) fn add<'a>(context: &Context, all: impl ExactSizeIterator<Item = &'a mut Updated>) {
    let patience = if all.len() == 1 { PATIENCE } else { Duration::ZERO };
    let touched = |one: &&mut Updated| {
        one.error.is_none()
            && matches!(
                one.action,
                Some(AppliedAction::Reload | AppliedAction::Restart | AppliedAction::Start)
            )
    };
    let mut touched: Vec<&mut Updated> = all.filter(touched).collect();
    if touched.is_empty() {
        return;
    }
    let loaded = match &touched[..] {
        [one] => context.load_one(&one.name),
        _ => context.load(),
    };
    for one in &mut touched {
        if let Ok(intent) = imperative(&loaded, &one.name) {
            one.reachable = of(context, &one.name, &intent.container, patience);
        }
    }
}

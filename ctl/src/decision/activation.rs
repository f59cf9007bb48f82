//! Decides how a new generation is activated: not at all, by a reload or by a restart, with the reason. Pure: the
//! inputs are the old and new intent, the strategy and whether the container runs.

use anyhow::Result;
use nixos_nspawn_units::change::{Change, change};
use nixos_nspawn_units::intent::{Intent, Strategy};
use nixos_nspawn_units::name::MachineName;

use crate::host::last_activation;

/// What is done to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The container does not run or must not be touched; the next start activates it.
    AtNextStart,
    /// Nothing inside is affected.
    Nothing,
    /// The system inside switches.
    Reload,
    /// The container stops and starts.
    Restart,
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What to do.
    pub(crate) action: Action,
    /// The reason; one line.
    pub(crate) reason: String,
}

/// Decides how to activate `new`. `runs` tells whether the container is active.
pub(crate) fn decide(
    name: &MachineName,
    old: &Intent,
    new: &Intent,
    strategy: Strategy,
    runs: bool,
) -> Result<Decision> {
    Ok(decide_for(change(name, old, new)?, strategy, runs))
}

/// Decides for a known change.
pub(crate) fn decide_for(change: Change, strategy: Strategy, runs: bool) -> Decision {
    let to = |action, reason: &str| Decision { action, reason: reason.to_owned() };
    match (&change, strategy) {
        (Change::Nothing, _) => return to(Action::Nothing, "nothing that affects the container differs"),
        (Change::Outside(what), _) => {
            return to(
                Action::Nothing,
                &format!("only {what} differs, which the running container does not see"),
            );
        }
        _ if !runs => {
            return to(Action::AtNextStart, "the container does not run, its next start applies it");
        }
        (_, Strategy::None) => return to(Action::AtNextStart, "strategy 'none', the next start applies it"),
        (_, Strategy::Restart) => return to(Action::Restart, "strategy 'restart'"),
        _ => {}
    }
    match (change, strategy) {
        (Change::Settings(what), Strategy::Reload) => {
            to(Action::Reload, &format!("strategy 'reload'; {what}, which only a restart applies"))
        }
        (Change::Settings(what), _) => {
            to(Action::Restart, &format!("{what}, which cannot be applied to a running container"))
        }
        (_, Strategy::Reload) => to(Action::Reload, "strategy 'reload'"),
        _ => to(Action::Reload, "only the system differs"),
    }
}

impl From<Action> for last_activation::AppliedAction {
    fn from(action: Action) -> Self {
        match action {
            Action::AtNextStart | Action::Nothing => Self::None,
            Action::Reload => Self::Reload,
            Action::Restart => Self::Restart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the change is, the strategy, whether the container runs; what is done.
    #[test]
    fn each_change_under_each_strategy() {
        use Action::{AtNextStart, Nothing, Reload, Restart};
        use Strategy::{Dynamic, None, Reload as ByReload, Restart as ByRestart};
        let settings = || Change::Settings("[Files] Bind= is added".to_owned());
        let outside = || Change::Outside("autostart".to_owned());
        let rows: Vec<(Change, Strategy, bool, Action)> = vec![
            (Change::Nothing, ByRestart, true, Nothing),
            (Change::Nothing, Dynamic, false, Nothing),
            (outside(), ByRestart, true, Nothing),
            (outside(), Dynamic, false, Nothing),
            (Change::Toplevel, None, true, AtNextStart),
            (Change::Toplevel, Dynamic, true, Reload),
            (Change::Toplevel, ByReload, true, Reload),
            (Change::Toplevel, ByRestart, true, Restart),
            (Change::Toplevel, Dynamic, false, AtNextStart),
            (settings(), None, true, AtNextStart),
            (settings(), Dynamic, true, Restart),
            (settings(), ByReload, true, Reload),
            (settings(), ByRestart, true, Restart),
            (settings(), ByRestart, false, AtNextStart),
        ];
        for (change, strategy, runs, action) in rows {
            let row = format!("{change:?}, {strategy:?}, runs: {runs}");
            let decision = decide_for(change, strategy, runs);
            assert_eq!(decision.action, action, "{row}");
            assert!(!decision.reason.is_empty(), "{row}");
        }
    }
}

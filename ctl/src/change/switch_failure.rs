//! What follows a switch that fails: it is remembered, and everything is reverted, unless the new generation is to stay.

use anyhow::{Error, Result, anyhow};

use crate::base::exit::under;
use crate::base::interrupt;
use crate::change::profile_steps::remove_pending;
use crate::change::snapshot;
use crate::change::switch::Switch;
use crate::change::switch_options::Switched;
use crate::change::take_back::{Way, take_back};
use crate::decision::activation::Action;
use crate::fact::dependents;
use crate::host::journal::{show_journal, show_journal_inside};
use crate::host::last_activation::ActivationResult;
use crate::host::record::{Phase, Record};
use crate::host::update_memory::{Failure, FailureKind};
use crate::host::{intent_file, systemd};

impl Switch<'_> {
    /// Reverts a switch that failed after `begun`. Returns the error for the user.
    pub(super) fn failed(&self, record: &mut Record, error: Error, begun: &str) -> Result<Switched> {
        let folder = record.details.profile_directory.clone();
        let stopped = interrupt::check().is_err();
        interrupt::clean_up_begins();
        let touched = matches!(record.details.phase, Phase::Activating | Phase::Passed);
        match self.decision.action {
            Action::Reload if touched => show_journal_inside(self.host, self.name, begun),
            _ if touched => show_journal(self.host, self.name, begun),
            _ => {}
        }
        self.note(&folder, self.decision.action, ActivationResult::Failed, format!("{error:#}"));
        // Before the container is taken back, so that whoever is killed then does not forget it.
        if touched && !stopped {
            self.remember(&folder, |memory, output| {
                let reason = format!("{error:#}");
                memory.fails(Failure::now(FailureKind::Failed, reason, Some(output.clone())));
            });
        }
        // Before that, the container is only stopped.
        let recorded = intent_file::text(self.host, self.name)
            .is_ok_and(|text| text.as_ref() == Some(&record.details.new_intent));
        if touched && recorded && (self.activation.keep || self.only_takes_away) {
            remove_pending(self.host, &folder);
            snapshot::keep_at_last(self.host, self.name);
            // Starting its dependents would start the container again if it were down.
            if systemd::state(self.host, self.name).is_ok_and(|state| state.active == "active") {
                dependents::start_again(self.host, &record.details.dependents);
            }
            record.finish(self.host)?;
            interrupt::clean_up_ends();
            let name = self.name;
            let left = match self.activation.keep {
                true => format!("container '{name}' was updated and left as it is (--keep)"),
                false => format!(
                    "container '{name}' was updated and is not rolled back, since the change only takes reach \
                     away; 'nixos-nspawn rollback {name}' gives it back"
                ),
            };
            return Err(anyhow!("{error:#}").context(left));
        }
        let way = match (touched, &record.details.reload) {
            (false, _) => Way::Recorded,
            // Only its state was touched.
            _ if self.decision.action == Action::AtNextStart => Way::Recorded,
            (true, None) => Way::Restart,
            (true, Some(_)) => Way::Reload { before: &self.before, limit: self.activation.expectation.limit },
        };
        let back = take_back(self.host, self.nix, record, way);
        interrupt::clean_up_ends();
        let name = self.name;
        // A failure of the new generation is a plain failure (1), whichever program reported it.
        let error = if touched { anyhow!("{error:#}") } else { error };
        Err(match back {
            Ok(()) if touched => error.context(format!("container '{name}' was rolled back")),
            Ok(()) => {
                under(error, &format!("container '{name}' was not updated"), "nothing was changed")
            }
            Err(left) => error.context(format!(
                "container '{name}' was not updated, and could not be rolled back ({left:#}); the next command tries again"
            )),
        })
    }
}

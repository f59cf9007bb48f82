//! Recoverable changes: plain options in, results out. Nothing here prints.

pub(crate) mod activate;
pub(crate) mod ahead;
pub(crate) mod applied;
pub(crate) mod apply;
pub(crate) mod apply_options;
pub(crate) mod autostart;
pub(crate) mod clone;
pub(crate) mod conditions;
pub(crate) mod create;
mod create_applied;
pub(crate) mod create_draft;
pub(crate) mod delete_generations;
pub(crate) mod doctor;
pub(crate) mod effect;
pub(crate) mod enable;
pub(crate) mod export;
pub(crate) mod forget;
pub(crate) mod gate;
pub(crate) mod give_back;
pub(crate) mod hold;
pub(crate) mod host_flake;
pub(crate) mod import;
pub(crate) mod import_foreign;
mod import_nspawn;
pub(crate) mod import_options;
mod kept_edit;
mod load;
mod name_is_free;
pub(crate) mod new_copy;
pub(crate) mod next;
pub(crate) mod now;
pub(crate) mod pin;
pub(crate) mod plan;
pub(crate) mod planned;
pub(crate) mod profile_steps;
pub(crate) mod reach;
pub(crate) mod removal;
pub(crate) mod remove;
mod remove_locked;
pub(crate) mod rename;
pub(crate) mod rename_steps;
pub(crate) mod rollback;
pub(crate) mod settle;
pub(crate) mod setup;
pub(crate) mod several;
pub(crate) mod side_by_side;
pub(crate) mod skip;
pub(crate) mod snapshot;
mod snapshot_steps;
pub(crate) mod summary;
pub(crate) mod switch;
mod switch_failure;
pub(crate) mod switch_options;
pub(crate) mod take_back;
pub(crate) mod tidy;
pub(crate) mod update;
pub(crate) mod update_options;
pub(crate) mod updated;

#[cfg(test)]
mod create_remove_tests;
#[cfg(test)]
mod gate_tests;
#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod remembered_tests;
#[cfg(test)]
mod rename_tests;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unattended_tests;

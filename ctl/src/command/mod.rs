//! The verbs, one a file: options to plain values, an operation, and its result as text or JSON.

pub(crate) mod activate;
pub(crate) mod arguments;
pub(crate) mod autostart;
pub(crate) mod create;
pub(crate) mod delete_generations;
pub(crate) mod diff;
pub(crate) mod enable;
pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod list_generations;
pub(crate) mod pin;
pub(crate) mod plan;
pub(crate) mod planned;
pub(crate) mod remove;
pub(crate) mod rollback;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod update;
pub(crate) mod updated;

//! The foundation of the other layers: context, programs, output, errors, signals and time.

pub(crate) mod at_once;
pub(crate) mod call;
pub(crate) mod config;
pub(crate) mod config_files;
pub(crate) mod context;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod failpoint;
pub(crate) mod held;
pub(crate) mod host;
pub(crate) mod interrupt;
pub(crate) mod jail;
pub(crate) mod output;
pub(crate) mod passed_on;
pub(crate) mod pattern;
pub(crate) mod program;
pub(crate) mod remote;
pub(crate) mod scope;
pub(crate) mod screen;
pub(crate) mod secrets;
pub(crate) mod table;
pub(crate) mod tilde;
pub(crate) mod time;
pub(crate) mod tree;
pub(crate) mod wait;

//! Intents for unit tests.

use super::{Fault, Intent, parse};
use crate::name::MachineName;

/// Parses an intent of which only the container's options matter, given as JSON.
pub(crate) fn with_options(name: &MachineName, container: &str) -> Result<Intent, Fault> {
    let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
    let text = format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{container}}}"#);
    parse(text.as_bytes(), name)
}

//! Arguments for the administrator's own layer over the options of a build.

use clap::Args;

/// The heading of these arguments.
pub(super) const KEPT: &str = "Options of the container, kept by updates";

/// What is set on this host, over what the build says.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = KEPT)]
pub(crate) struct Override {
    /// Set an option, or add to a list with OPTION+=VALUE
    #[arg(long, value_name = "OPTION=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<String>,
    /// Forward this port of the host, and not those of the build
    #[arg(long, value_name = "[ADDRESS:]HOST[:CONTAINER]")]
    pub(crate) port: Vec<String>,
    /// Bind a file or directory of the host into the container
    #[arg(long, value_name = "SOURCE[:DESTINATION]")]
    pub(crate) bind: Vec<String>,
    /// Bind it read-only
    #[arg(long, value_name = "SOURCE[:DESTINATION]")]
    pub(crate) bind_ro: Vec<String>,
    /// How much memory it can have, such as 2G
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_max: Option<String>,
    /// Zone to attach it to
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Existing bridge of the host to attach it to
    #[arg(long, value_name = "BRIDGE")]
    pub(crate) bridge: Option<String>,
    /// Set an environment variable of its service manager
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) env: Vec<String>,
}

/// Parses `NAME=VALUE`.
fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

//! Exit codes, documented in nixos-nspawn-ctl(8) and stable. Any other error exits with 1.

use std::fmt;

use nixos_nspawn_units::name::MachineName;

/// An error with an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// Wrong arguments, or no such container.
    #[error("{0}")]
    Usage(String),
    /// There is no generation to go back to.
    #[error("{0}")]
    NothingToRollBack(String),
    /// With `--exit-code`: something would change. The answer has already been printed.
    #[error("")]
    WouldChange,
    /// Refused, and nothing was changed: a name is taken, privileges are missing, or a check failed.
    #[error("{0}")]
    Refused(Refusal),
    /// A killed command left the container half done after everything was settled.
    #[error("container '{0}' was left incomplete by a killed command, nothing was changed; try again")]
    Unsettled(MachineName),
    /// A killed command left the container half done, and it could not be settled. The reason has already been printed.
    #[error(
        "container '{name}' is still incomplete after a killed command, nothing was changed; an earlier message says why"
    )]
    StillUnsettled {
        /// The container.
        name: MachineName,
        /// The exit code of the error that prevented settling it.
        code: u8,
    },
    /// A program failed.
    #[error("{0}")]
    Program(String),
    /// The error has already been printed.
    #[error("")]
    Silent,
}

/// Returns the exit code of an error: that of the outermost cause that has one.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(|cause| cause.downcast_ref::<Failed>()).map_or(1, |failed| match failed {
        Failed::Usage(_) => 2,
        Failed::NothingToRollBack(_) => 3,
        Failed::WouldChange => 4,
        Failed::Refused(_) | Failed::Unsettled(_) => 10,
        Failed::StillUnsettled { code, .. } => *code,
        Failed::Program(_) => 11,
        Failed::Silent => 1,
    })
}

/// Returns the refusal that an error is.
pub(crate) fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    match error.chain().find_map(|cause| cause.downcast_ref::<Failed>()) {
        Some(Failed::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

/// Why something was refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) why: String,
    /// The next step, if there is one.
    pub(crate) remedy: Option<String>,
    /// Whether the message says that nothing was changed; otherwise the caller adds it.
    pub(crate) says_unchanged: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.why)?;
        if self.says_unchanged {
            out.write_str(", nothing was changed")?;
        }
        match &self.remedy {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl Failed {
    /// Returns a refusal that says that nothing was changed; `remedy` is the next step or `""`.
    pub(crate) fn unchanged(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into()).filter(|remedy| !remedy.is_empty());
        Self::Refused(Refusal { why: why.into(), remedy, says_unchanged: true })
    }

    /// Returns a refusal; the caller adds the consequence.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(Refusal { why: why.into(), remedy: None, says_unchanged: false })
    }

    /// Returns whether the message says that nothing was changed.
    fn says_unchanged(&self) -> bool {
        matches!(self, Self::Refused(Refusal { says_unchanged: true, .. }) | Self::Unsettled { .. })
    }
}

/// Wraps an error in a context that ends in `remark`, unless the error itself says that nothing was changed.
pub(crate) fn under(error: anyhow::Error, what: &str, remark: &str) -> anyhow::Error {
    let failed = error.chain().find_map(|cause| cause.downcast_ref::<Failed>());
    if failed.is_some_and(Failed::says_unchanged) {
        error.context(what.to_owned())
    } else {
        error.context(format!("{what}, {remark}"))
    }
}

/// Returns `Err` with a refusal that says that nothing was changed; `remedy` is the next step or `""`.
pub(crate) fn unchanged<T>(why: impl Into<String>, remedy: impl Into<String>) -> anyhow::Result<T> {
    Err(Failed::unchanged(why, remedy).into())
}

/// Returns `Err` with a refusal; the caller adds the consequence.
pub(crate) fn refuse<T>(why: impl Into<String>) -> anyhow::Result<T> {
    Err(Failed::refused(why).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let said = |error| format!("{:#}", under(error, "'x' was not updated", "nothing was changed"));
        assert_eq!(said(anyhow::anyhow!("why")), "'x' was not updated, nothing was changed: why");
        let refused = unchanged::<()>("why", "do this").unwrap_err();
        assert_eq!(code(&under(refused, "what", "remark")), 10);
        let refused = unchanged::<()>("why", "do this").unwrap_err();
        assert_eq!(said(refused), "'x' was not updated: why, nothing was changed; do this");
    }
}

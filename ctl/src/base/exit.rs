//! Exit codes, documented in nixos-nspawn-ctl(8) and stable. An error that is none of these is a plain failure, 1.

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
    /// With `--exit-code`: something would change. Everything was said already.
    #[error("")]
    WouldChange,
    /// Not done, and nothing changed: a name is taken, rights are missing, a check says no.
    #[error("{0}")]
    Refused(Refusal),
    /// A killed command left the container half done, and that is not settled.
    #[error("container '{name}' was left half done by a killed command, nothing was changed; try again")]
    Unsettled {
        /// The container.
        name: MachineName,
        /// The exit code of what kept it from being settled.
        code: u8,
    },
    /// A program that was called failed.
    #[error("{0}")]
    Program(String),
    /// Everything was said already.
    #[error("")]
    Silent,
}

/// The exit code for an error: that of the outermost one that has one.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(|cause| cause.downcast_ref::<Failed>()).map_or(1, |failed| match failed {
        Failed::Usage(_) => 2,
        Failed::NothingToRollBack(_) => 3,
        Failed::WouldChange => 4,
        Failed::Refused(_) => 10,
        Failed::Unsettled { code, .. } => *code,
        Failed::Program(_) => 11,
        Failed::Silent => 1,
    })
}

/// Why something was not done, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) why: String,
    /// The next step, if there is one to name.
    pub(crate) remedy: Option<String>,
    /// Whether it says by itself that nothing was changed; otherwise the caller does.
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
    /// A refusal that says that nothing was changed, with the next step; `""` for none.
    pub(crate) fn unchanged(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into()).filter(|remedy| !remedy.is_empty());
        Self::Refused(Refusal { why: why.into(), remedy, says_unchanged: true })
    }

    /// A refusal whose consequence the caller adds.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(Refusal { why: why.into(), remedy: None, says_unchanged: false })
    }

    /// Whether the words for it say that nothing was changed.
    fn says_unchanged(&self) -> bool {
        matches!(self, Self::Refused(Refusal { says_unchanged: true, .. }) | Self::Unsettled { .. })
    }
}

/// The error behind these words, which end in the remark unless the error itself says that nothing was changed.
pub(crate) fn under(error: anyhow::Error, what: &str, remark: &str) -> anyhow::Error {
    let failed = error.chain().find_map(|cause| cause.downcast_ref::<Failed>());
    if failed.is_some_and(Failed::says_unchanged) {
        error.context(what.to_owned())
    } else {
        error.context(format!("{what}, {remark}"))
    }
}

/// `Err` with a refusal that says that nothing was changed, with the next step; `""` for none.
pub(crate) fn unchanged<T>(why: impl Into<String>, remedy: impl Into<String>) -> anyhow::Result<T> {
    Err(Failed::unchanged(why, remedy).into())
}

/// `Err` with a refusal whose consequence the caller adds.
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

//! Limits of a container: memory, processor, disks and tasks (`systemd.resource-control(5)`), and resource limits of
//! its processes (`systemd.exec(5)`). Sizes have the base 1024, as in systemd. Only a subset of what systemd accepts is
//! allowed: one number with one unit.

mod amount;
mod number;
mod rlimit;

use serde::{Deserialize, Serialize};

pub(crate) use amount::{Amount, amounts};
pub(super) use rlimit::rlimit_fault;
pub use rlimit::{Rlimit, RlimitName};

use number::{hundredths, size, whole};

use crate::invalid::Invalid;
use crate::number_type::number_type;
use crate::string_type::string_type;

number_type! {
    /// An amount of memory (`MemoryMax=`): bytes, `2G`, `50%` of the host's memory, or `infinity`.
    MemoryLimit, check_memory, (1, None), r"^((0|[1-9][0-9]*)(\.[0-9]+)?[BKMGTPE]?|(0|[1-9][0-9]*)(\.[0-9]{1,2})?%|infinity)$"
}

fn check_memory(text: &str) -> Result<(), Invalid> {
    let well =
        text == "infinity" || share(text) || size(text).is_some_and(|bytes| (1..u64::MAX).contains(&bytes));
    let reason = "is not an amount of memory such as 1073741824, '2G', '50%' or 'infinity'";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A number of tasks (`TasksMax=`), `50%` of what the host can have, or `infinity`.
    TasksMax, check_tasks, (1, None), r"^([1-9][0-9]*|(0|[1-9][0-9]*)(\.[0-9]{1,2})?%|infinity)$"
}

fn check_tasks(text: &str) -> Result<(), Invalid> {
    let well =
        text == "infinity" || share(text) || whole(text).is_some_and(|tasks| (1..u64::MAX).contains(&tasks));
    let reason = "is not a number of tasks such as 4096, '50%' or 'infinity'";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A weight from 1 to 10000 (`CPUWeight=`), or `idle`.
    CpuWeight, check_cpu_weight, (1, Some(10_000)), r"^([1-9][0-9]{0,3}|10000|idle)$"
}

fn check_cpu_weight(text: &str) -> Result<(), Invalid> {
    let reason = "is not a weight (1 to 10000, or 'idle')";
    if text == "idle" || weight(text) { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

number_type! {
    /// A weight from 1 to 10000 (`IOWeight=`).
    IoWeight, check_io_weight, (1, Some(10_000)), r"^([1-9][0-9]{0,3}|10000)$"
}

fn check_io_weight(text: &str) -> Result<(), Invalid> {
    if weight(text) { Ok(()) } else { Err(Invalid::new(text, "is not a weight (1 to 10000)")) }
}

string_type! {
    /// A share of one processor's time (`CPUQuota=`): `150%` is one and a half processors.
    CpuQuota, check_quota, r"^(0|[1-9][0-9]{0,7})(\.[0-9]{1,2})?%$"
}

fn check_quota(text: &str) -> Result<(), Invalid> {
    // systemd keeps hundredths of a percent in an int.
    let well =
        hundredths(text).is_some_and(|share| (1..=u64::from(i32::MAX.unsigned_abs())).contains(&share));
    let reason = "is not a share of processor time such as '150%', above 0";
    if well { Ok(()) } else { Err(Invalid::new(text, reason)) }
}

/// How willingly the kernel kills the container's processes when memory runs out (`OOMScoreAdjust=`), -1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i16")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "i64", extend("minimum" = -1000, "maximum" = 1000)))]
pub struct OomScoreAdjust(i16);

impl OomScoreAdjust {
    /// Returns the number.
    pub fn get(self) -> i16 {
        self.0
    }
}

impl TryFrom<i64> for OomScoreAdjust {
    type Error = Invalid;
    fn try_from(number: i64) -> Result<Self, Invalid> {
        match i16::try_from(number) {
            Ok(score) if (-1000..=1000).contains(&score) => Ok(Self(score)),
            _ => Err(Invalid::new(&number.to_string(), "is out of range (-1000 to 1000)")),
        }
    }
}

impl From<OomScoreAdjust> for i16 {
    fn from(score: OomScoreAdjust) -> i16 {
        score.0
    }
}

fn weight(text: &str) -> bool {
    whole(text).is_some_and(|weight| (1..=10_000).contains(&weight))
}

/// Returns whether it is a percentage above 0, at most 100.
fn share(text: &str) -> bool {
    hundredths(text).is_some_and(|share| (1..=10_000).contains(&share))
}

#[cfg(test)]
mod tests;

//! Settles what killed commands left behind: taken back, accepted or finished, as their records say.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::context::Context;
use crate::base::exit::refuse;
use crate::base::output;
use crate::change::forget::forget;
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record, Step, pending};

/// Settles what a killed command left of one container: taken back, accepted or finished, as its record says.
pub(crate) fn settle(context: &Context, record: &Record) -> Result<()> {
    let name = &record.name;
    match (record.step, record.details.phase) {
        (Step::Updating, _) if !context.live() => refuse(format!(
            "container '{name}' was left half updated, nothing was changed; the running system settles it"
        )),
        (Step::Updating, _) => crate::change::settle_switch::settle(context, record),
        (Step::Creating, Phase::Started) => {
            output::tell(&format!(
                "container '{name}' was created by a command that was killed at its end, it stays"
            ));
            record.finish(context)
        }
        (Step::Creating, phase) => {
            output::tell(&format!(
                "container '{name}' was left half created by a killed command, taking it away"
            ));
            let mut record = record.clone();
            // What was started by us, or by a boot since, may hold data: it is not deleted behind anybody's back.
            let recorded = intent_path(context, name).symlink_metadata().is_ok();
            record.details.delete_state &= phase != Phase::Activating && !recorded;
            forget(context, &record)
        }
        (Step::Removing, _) => {
            output::tell(&format!(
                "container '{name}' was left half removed by a killed command, taking it away"
            ));
            forget(context, record)
        }
    }
}

/// The lock of a container, with nothing left half done behind it by a killed command.
pub(crate) fn lock_settled(context: &Context, name: &MachineName) -> Result<Lock> {
    let lock = Lock::container(context, name)?;
    for record in pending(context).into_iter().filter(|record| record.name == *name) {
        settle(context, &record)?;
    }
    Ok(lock)
}

/// Finishes what killed commands left, unless another command is at it. Needs the rights to do so.
pub(crate) fn repair(context: &Context) {
    for record in pending(context) {
        // One container's trouble is not another's: it is told, and the next command tries again.
        if let Err(error) = repair_one(context, &record) {
            output::tell(&format!("container '{}' is left half done: {error:#}", record.name));
        }
    }
}

fn repair_one(context: &Context, record: &Record) -> Result<()> {
    let Some(_lock) = Lock::container_if_free(context, &record.name)? else { return Ok(()) };
    // Between the listing and the lock the other command may have ended.
    match pending(context).into_iter().find(|other| other.name == record.name) {
        Some(record) => settle(context, &record),
        None => Ok(()),
    }
}

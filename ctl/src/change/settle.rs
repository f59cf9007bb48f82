//! Settles what killed commands left behind: taken back, accepted or finished, as their records say.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::refuse;
use crate::base::host::Host;
use crate::change::forget::forget;
use crate::host::intent_file::intent_path;
use crate::host::lock::Lock;
use crate::host::record::{Phase, Record, Step, pending};

/// Settles what a killed command left of one container: taken back, accepted or finished, as its record says.
pub(crate) fn settle(host: &Host, record: &Record) -> Result<()> {
    let name = &record.name;
    match (record.step, record.details.phase) {
        (Step::Updating, _) if !host.live() => refuse(format!(
            "container '{name}' was left half updated, nothing was changed; the running system settles it"
        )),
        (Step::Updating, _) => crate::change::settle_switch::settle(host, record),
        (Step::Creating, Phase::Started) => {
            host.report(Event::CreateAccepted { name: name.clone() });
            record.finish(host)
        }
        (Step::Creating, phase) => {
            host.report(Event::CreateTakenBack { name: name.clone() });
            let mut record = record.clone();
            // What was started by us, or by a boot since, may hold data: it is not deleted behind anybody's back.
            let recorded = intent_path(host, name).symlink_metadata().is_ok();
            record.details.delete_state &= phase != Phase::Activating && !recorded;
            forget(host, &record)
        }
        (Step::Removing, _) => {
            host.report(Event::RemoveFinished { name: name.clone() });
            forget(host, record)
        }
    }
}

/// The lock of a container, with nothing left half done behind it by a killed command.
pub(crate) fn lock_settled(host: &Host, name: &MachineName) -> Result<Lock> {
    let lock = Lock::container(host, name)?;
    for record in pending(host).into_iter().filter(|record| record.name == *name) {
        settle(host, &record)?;
    }
    Ok(lock)
}

/// Finishes what killed commands left, unless another command is at it. Needs the rights to do so.
pub(crate) fn repair(host: &Host) {
    for record in pending(host) {
        // One container's trouble is not another's: it is told, and the next command tries again.
        if let Err(error) = repair_one(host, &record) {
            host.report(Event::NotSettled { name: record.name.clone(), error: format!("{error:#}") });
        }
    }
}

fn repair_one(host: &Host, record: &Record) -> Result<()> {
    let Some(_lock) = Lock::container_if_free(host, &record.name)? else { return Ok(()) };
    // Between the listing and the lock the other command may have ended.
    match pending(host).into_iter().find(|other| other.name == record.name) {
        Some(record) => settle(host, &record),
        None => Ok(()),
    }
}

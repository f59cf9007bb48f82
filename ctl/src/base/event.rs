//! What happens while an operation is under way. Operations report it as it happens; the caller decides what people see.

use std::path::PathBuf;

use nixos_nspawn_units::name::MachineName;

/// Something that people should see before the result is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A program is about to be called, with `--verbose`.
    Called { words: Vec<String> },
    /// What a program wrote, once it has ended.
    ProgramOutput { lines: Vec<String> },
    /// Another command holds a lock.
    Waiting { what: String, holder: String },
    /// The container is being started.
    Starting { name: MachineName },
    /// The container's time to start is almost over; what it waits for, and what has failed in it.
    StillStarting { name: MachineName, seconds: u64, jobs: Vec<String>, failed: Vec<String> },
    /// The last lines of a container's journal on the host, after a failure.
    Journal { name: MachineName, lines: Vec<String> },
    /// Warnings in the journal inside a container, after a failed reload.
    JournalInside { name: MachineName, lines: Vec<String> },
    /// The last lines of a unit inside that failed.
    UnitJournal { lines: Vec<String> },
    /// What reading a profile passed over.
    ProfileWarning { text: String },
    /// A remark on a container.
    Note { name: MachineName, text: String },
    /// `switch-to-configuration` reported failed units; the gate decides.
    UnitsFailed,
    /// The container is not activated now, so `--check` is not run.
    CheckSkipped,
    /// The new source is recorded, but systemd has not read the file again.
    SourceNotLoaded { name: MachineName, error: String },
    /// systemd has not loaded all plans, and a dry run leaves that so.
    ReloadDue,
    /// The generator does not run, for this reason.
    GeneratorFault { reason: String },
    /// A container that required the removed one cannot start any more.
    RequiredBy { name: MachineName, other: MachineName },
    /// A link of `systemctl enable` was removed.
    LinkRemoved { link: String },
    /// A killed update had been activated.
    UpdateAccepted { name: MachineName },
    /// A killed update is being taken back.
    UpdateTakenBack { name: MachineName },
    /// A killed create had come to its end.
    CreateAccepted { name: MachineName },
    /// A killed create is being taken back.
    CreateTakenBack { name: MachineName },
    /// A killed remove is being finished.
    RemoveFinished { name: MachineName },
    /// A killed command could not be settled.
    NotSettled { name: MachineName, error: String },
    /// A failed reload is taken back by a reload of the old generation.
    ReloadingBack { name: MachineName },
    /// That did not help, for this reason: the container is restarted.
    RestartingBack { name: MachineName, error: String },
    /// The old generation is recorded again, but does not start.
    OldGenerationDown { error: String },
    /// A profile could not be set to the recorded generation.
    ProfileNotAligned { profile: PathBuf, generation: u64, error: String },
    /// A failed generation could not be deleted from the profile.
    GenerationStays { profile: PathBuf, error: String },
    /// A profile's folder holds something that is not ours.
    FolderStays { folder: PathBuf, error: String },
    /// Units that stopped with the container could not be started again.
    DependentsDown { units: Vec<String>, error: String },
    /// networkd could not be told of a changed file.
    NetworkdNotTold { path: PathBuf, error: String },
    /// The file for networkd could not be written or removed.
    NetworkFileFailed { path: PathBuf, error: String },
    /// Not all ports of a container could be opened.
    PortsNotOpened { name: MachineName, error: String },
    /// The result of an activation could not be recorded.
    ResultNotRecorded { error: String },
    /// What the container runs could not be remembered.
    NotRemembered { path: PathBuf, error: String },
}

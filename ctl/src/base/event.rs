//! Events of an operation in progress. Operations report them as they happen; the caller decides what users see.

use std::path::PathBuf;

use nixos_nspawn_units::name::MachineName;

/// Something that users should see before the result is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A program is about to be called (`--verbose`).
    Called { words: Vec<String> },
    /// The output of a program that has ended.
    ProgramOutput { lines: Vec<String> },
    /// The step that the command waits for; `None` when it is over.
    Progress { name: MachineName, step: Option<Step> },
    /// The systems of these containers are being built.
    Building { names: Vec<MachineName> },
    /// Another command holds a lock.
    Waiting { what: String, holder: String },
    /// The container is being started.
    Starting { name: MachineName },
    /// The container has almost used up its time to start; with the jobs that still run inside, and the units that have
    /// failed.
    StillStarting { name: MachineName, seconds: u64, jobs: Vec<String>, failed: Vec<String> },
    /// The last lines of a container's journal on the host, after a failure.
    Journal { name: MachineName, lines: Vec<String> },
    /// Warnings in the journal inside a container, after a failed reload.
    JournalInside { name: MachineName, lines: Vec<String> },
    /// The last journal lines of a unit that failed inside.
    UnitJournal { lines: Vec<String> },
    /// Something in a profile was ignored while reading it.
    ProfileWarning { text: String },
    /// A note on a container.
    Note { name: MachineName, text: String },
    /// `switch-to-configuration` reported failed units; the gate decides.
    UnitsFailed,
    /// The container is not activated now, so `--check` is skipped.
    CheckSkipped,
    /// A source could not be refreshed, so its last known revision is built.
    NotRefreshed { reference: String, reason: String },
    /// The new source is recorded, but systemd has not reloaded the file.
    SourceNotLoaded { name: MachineName, error: String },
    /// systemd has not loaded all plans, and a dry run does not reload it.
    ReloadDue,
    /// The generator does not run.
    GeneratorFault { reason: String },
    /// A container that requires the removed one can no longer start.
    RequiredBy { name: MachineName, other: MachineName },
    /// A link of `systemctl enable` was removed.
    LinkRemoved { link: String },
    /// A killed update had been activated and is kept.
    UpdateAccepted { name: MachineName },
    /// A killed update stays recorded, since it only takes reach away.
    UpdateKept { name: MachineName },
    /// The new generation stays recorded, but does not start.
    NewGenerationDown { error: String },
    /// A killed update is being reverted.
    UpdateTakenBack { name: MachineName },
    /// A killed create had completed and is kept.
    CreateAccepted { name: MachineName },
    /// A killed create is being reverted.
    CreateTakenBack { name: MachineName },
    /// A killed remove is being completed.
    RemoveFinished { name: MachineName },
    /// A killed rename is being completed.
    RenameFinished { name: MachineName, to: MachineName },
    /// A killed rename is being reverted.
    RenameTakenBack { name: MachineName, to: MachineName },
    /// The records of killed commands cannot be read.
    RecordsUnread { error: String },
    /// The intent was edited while the container was watched; the edit stays.
    EditKept { name: MachineName },
    /// A killed command could not be settled.
    NotSettled { name: MachineName, error: String },
    /// A failed reload is taken back by a reload of the old generation.
    ReloadingBack { name: MachineName },
    /// That reload failed with this error, so the container is restarted.
    RestartingBack { name: MachineName, error: String },
    /// The old generation is recorded again, but the container does not start.
    OldGenerationDown { error: String },
    /// A profile could not be set to the recorded generation.
    ProfileNotAligned { profile: PathBuf, generation: u64, error: String },
    /// A failed generation could not be deleted from the profile.
    GenerationStays { profile: PathBuf, error: String },
    /// A profile's directory contains files that are not ours.
    FolderStays { folder: PathBuf, error: String },
    /// Units that stopped with the container could not be started again.
    DependentsDown { units: Vec<String>, error: String },
    /// networkd could not be notified of a changed file.
    NetworkdNotTold { path: PathBuf, error: String },
    /// The file for networkd could not be written or removed.
    NetworkFileFailed { path: PathBuf, error: String },
    /// Not all ports of a container could be opened.
    PortsNotOpened { name: MachineName, error: String },
    /// A setting of the administrator's defaults cannot be used.
    DefaultIgnored { text: String },
    /// The result of an activation could not be recorded.
    ResultNotRecorded { error: String },
    /// What the container runs could not be saved.
    NotRemembered { path: PathBuf, error: String },
}

/// A step that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// An archive is being written.
    Writing { bytes: u64 },
    /// An archive is being checked.
    Verifying { bytes: u64, whole: u64 },
    /// An archive is being imported.
    Reading { bytes: u64, whole: u64 },
    /// The container is being reloaded.
    Reloading,
    /// The container is being restarted.
    Restarting,
    /// The container is being checked.
    Checking {
        /// The seconds since the check began.
        seconds: u64,
        /// The time limit in seconds.
        limit: u64,
    },
}

//! The JSON Schemas of what commands print with `--json`.

use nixos_nspawn_units::name::MachineName;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::change::planned::Planned;
use crate::change::updated::Updated;
use crate::command::activate::ActivatedAnswer;
use crate::command::apply::{AppliedAnswer, WouldApply};
use crate::command::audit::{AuditAnswer, OverviewAnswer};
use crate::command::autostart::StartAnswer;
use crate::command::cat::CatAnswer;
use crate::command::check::CheckAnswer;
use crate::command::clone::CloneAnswer;
use crate::command::create::{CreatedAnswer, WouldCreate};
use crate::command::delete_generations::DeleteAnswer;
use crate::command::diff::Compared;
use crate::command::doctor_text::DoctorAnswer;
use crate::command::enable::EnableAnswer;
use crate::command::export::ExportAnswer;
use crate::command::hold::HoldAnswer;
use crate::command::host_status::HostAnswer;
use crate::command::import::ImportAnswer;
use crate::command::import_foreign::ForeignAnswer;
use crate::command::list_generations::GenerationEntry;
use crate::command::on_hosts::several::OfHost;
use crate::command::pin::PinAnswer;
use crate::command::remove::RemoveAnswer;
use crate::command::rename::RenameAnswer;
use crate::command::setup::SetupAnswer;
use crate::command::show::ShowAnswer;
use crate::command::status::StatusAnswer;
use crate::command::verify::VerifyAnswer;
use crate::command::word::IpAnswer;
use crate::fact::summary::Summary;

/// An object for one container; for several, a list with an object for each.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only described")]
enum ForEach<T> {
    /// For one container.
    One(T),
    /// For several.
    Several(Vec<Outcome<T>>),
}

/// The answer for one of several containers.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only described")]
enum Outcome<T> {
    /// It succeeded.
    Done(T),
    /// It failed.
    Failed(FailedAnswer),
}

/// A failure for one of several containers.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it is only described")]
struct FailedAnswer {
    name: MachineName,
    error: String,
}

/// What one of two commands prints.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only described")]
enum Either<A, B> {
    One(A),
    Other(B),
}

/// Returns the schemas by command.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("activate", schema::<ForEach<ActivatedAnswer>>("activate")),
        ("apply", schema::<Either<Vec<AppliedAnswer>, Vec<WouldApply>>>("apply")),
        ("audit", schema::<Either<Vec<OverviewAnswer>, ForEach<AuditAnswer>>>("audit")),
        ("autostart", schema::<Vec<StartAnswer>>("autostart")),
        ("cat", schema::<ForEach<CatAnswer>>("cat")),
        ("check", schema::<CheckAnswer>("check")),
        ("clone", schema::<CloneAnswer>("clone")),
        ("create", schema::<Either<CreatedAnswer, WouldCreate>>("create")),
        ("delete-generations", schema::<DeleteAnswer>("delete-generations")),
        ("diff", schema::<Compared>("diff")),
        ("disable", schema::<ForEach<EnableAnswer>>("disable")),
        ("doctor", schema::<Vec<DoctorAnswer>>("doctor")),
        ("enable", schema::<ForEach<EnableAnswer>>("enable")),
        ("export", schema::<ExportAnswer>("export")),
        ("hold", schema::<HoldAnswer>("hold")),
        ("ip", schema::<IpAnswer>("ip")),
        ("hosts", schema::<Vec<OfHost>>("with several hosts")),
        ("import", schema::<Either<ImportAnswer, ForEach<ForeignAnswer>>>("import")),
        ("list", schema::<Vec<Summary>>("list")),
        ("list-generations", schema::<Vec<GenerationEntry>>("list-generations")),
        ("pin", schema::<ForEach<PinAnswer>>("pin")),
        ("plan", schema::<Vec<Planned>>("plan")),
        ("remove", schema::<Vec<RemoveAnswer>>("remove")),
        ("rename", schema::<RenameAnswer>("rename")),
        ("rollback", schema::<Either<Updated, Planned>>("rollback")),
        ("setup", schema::<SetupAnswer>("setup")),
        ("show", schema::<ForEach<ShowAnswer>>("show")),
        ("status", schema::<Either<HostAnswer, ForEach<StatusAnswer>>>("status")),
        ("unhold", schema::<ForEach<HoldAnswer>>("unhold")),
        ("unpin", schema::<ForEach<PinAnswer>>("unpin")),
        ("update", schema::<Either<Vec<Updated>, Vec<Planned>>>("update")),
        ("verify", schema::<VerifyAnswer>("verify")),
    ]
}

fn schema<T: JsonSchema>(verb: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), format!("nixos-nspawn {verb} --json").into());
    schema.to_value()
}

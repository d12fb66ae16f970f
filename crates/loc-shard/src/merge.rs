//! Checks all parts against the manifest, joins their rows, and marks the prediction as complete.

use std::io::{BufReader, Write};

use serde::Serialize;

use crate::manifest::Lines;
use crate::part::{Label, Reader, Status, Writer};
use crate::{Error, Place, Plan, status};

/// The name of the file with all rows. Programs that read a folder of Parquet files pass over names with a first underscore, so
/// they do not read the rows twice.
pub const MERGED: &str = "_predictions.parquet";
/// The name of the mark of a complete prediction.
pub const SUCCESS: &str = "_SUCCESS";

const SCHEMA: &str = "loc.predictions/1";
const SUCCESS_SCHEMA: &str = "loc.shard-success/1";
/// Parts that an error names.
const SHOWN: usize = 10;

/// The result of a merge, as it is written to [`SUCCESS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    schema: &'static str,
    /// SHA-256 of the plan.
    pub plan: String,
    /// Number of parts.
    pub shards: u64,
    /// Number of rows.
    pub rows: u64,
    /// Rows with an error.
    pub errors: u64,
}

/// Checks that every part is there and intact and belongs to the plan, and that its rows are the lines of its shard: so all photos
/// have one row, in the order of the manifest. Writes [`SUCCESS`], and before it, if `join`, all rows into [`MERGED`], whose
/// bytes do not depend on the number of shards.
///
/// # Errors
///
/// [`Error::Incomplete`] with the parts that are missing or damaged; [`Error::OtherPlan`]; [`Error::Part`]; [`Error::Io`].
pub fn merge(plan: &Plan, place: &Place, join: bool) -> Result<Merged, Error> {
    check_parts(plan, place)?;
    let scratch = join.then(|| place.scratch(MERGED)).transpose()?;
    let failed =
        |error: parquet::errors::ParquetError| Error::io(place.show(MERGED), std::io::Error::other(error));
    let label = Label {
        schema: SCHEMA.into(),
        model: plan.model().sha256.clone(),
        manifest: plan.manifest().sha256.clone(),
        part: None,
        rows: 0,
        errors: 0,
    };
    let writer = scratch.as_ref().map(|scratch| Writer::new(scratch.as_file(), label));
    let mut writer = writer.transpose().map_err(failed)?;
    let manifest = plan.manifest_name();
    let other = |reason: &str| Error::OtherManifest { what: place.show(&manifest), reason: reason.into() };
    let list = place.fetch(&manifest)?.ok_or_else(|| other("it is missing"))?;
    let mut lines = Lines::new(BufReader::new(list));
    let (mut rows, mut errors) = (0, 0);
    for shard in 0..plan.shards() {
        let name = plan.part_name(shard);
        let bad = |reason: String| Error::Part { part: place.show(&name), reason };
        let gone =
            || Error::Incomplete { place: place.show(""), parts: format!("{name} has changed meanwhile") };
        let part = Reader::open(place.fetch(&name)?.ok_or_else(gone)?);
        let part = part.map_err(|e| Error::io(place.show(&name), e))?.ok_or_else(gone)?;
        if part.rows() != plan.photos_of(shard) {
            return Err(bad(format!("has {} rows for {} photos", part.rows(), plan.photos_of(shard))));
        }
        let mut count = 0;
        for group in part.groups() {
            for row in group.map_err(|e| Error::io(place.show(&name), e))? {
                let line = lines.next_line().map_err(|e| Error::io(place.show(&manifest), e))?;
                if line != Some(&row.path) {
                    return Err(bad(format!(
                        "row {count} is of {}, the manifest has {}",
                        row.path,
                        line.unwrap_or("nothing")
                    )));
                }
                count += 1;
                errors += u64::from(row.error.is_some());
                writer.as_mut().map_or(Ok(()), |writer| writer.push(row)).map_err(failed)?;
            }
        }
        if count != part.rows() {
            return Err(bad(format!("has {count} rows, and says that it has {}", part.rows())));
        }
        rows += count;
    }
    let end = lines.next_line().map_err(|e| Error::io(place.show(&manifest), e))?;
    if end.is_some() || lines.take_digest() != (plan.manifest().bytes, plan.manifest().sha256.clone()) {
        return Err(other("its digest is another"));
    }
    if let (Some(writer), Some(scratch)) = (writer, scratch) {
        writer.finish().map_err(failed)?;
        place.publish(scratch, MERGED)?;
    }
    let merged =
        Merged { schema: SUCCESS_SCHEMA, plan: plan.digest().into(), shards: plan.shards(), rows, errors };
    let mut scratch = place.scratch(SUCCESS)?;
    let json = serde_json::to_string(&merged).map_err(|e| Error::io(SUCCESS, e))?;
    writeln!(scratch, "{json}").map_err(|e| Error::io(place.show(SUCCESS), e))?;
    place.publish(scratch, SUCCESS)?;
    Ok(merged)
}

/// Looks at all parts, so that one error lists all that are missing.
fn check_parts(plan: &Plan, place: &Place) -> Result<(), Error> {
    let (mut missing, mut damaged) = (Vec::new(), Vec::new());
    for shard in 0..plan.shards() {
        match status(plan, place, shard)? {
            Status::Valid { .. } => {}
            Status::Missing => missing.push(shard),
            Status::Damaged => damaged.push(shard),
            Status::Other => {
                let name = plan.part_name(shard);
                let (planned, given) = ("another one".into(), plan.digest().into());
                return Err(Error::OtherPlan { place: place.show(&name), field: "plan", planned, given });
            }
        }
    }
    let words = |what: &str, shards: &[u64]| {
        let shown: Vec<String> = shards.iter().take(SHOWN).map(u64::to_string).collect();
        let more = if shards.len() > SHOWN { ", …" } else { "" };
        (!shards.is_empty()).then(|| format!("{} {what} (shards {}{more})", shards.len(), shown.join(", ")))
    };
    let parts: Vec<String> =
        [words("missing", &missing), words("damaged", &damaged)].into_iter().flatten().collect();
    if parts.is_empty() {
        return Ok(());
    }
    Err(Error::Incomplete { place: place.show(""), parts: parts.join(", ") })
}

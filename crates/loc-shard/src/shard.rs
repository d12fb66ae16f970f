//! Predicts one shard.

use std::io::BufReader;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use loc_infer::{LoadOptions, Localizer, Source};

use crate::input::{self, Content, Photo};
use crate::manifest::Lines;
use crate::part::{Label, PartLabel, Reader, Status, Writer};
use crate::plan::{Options, Plan};
use crate::{Error, Place, Row, sha256};

/// Largest model, in bytes.
pub(crate) const MAX_MODEL: u64 = 4 << 30;
const PART_SCHEMA: &str = "loc.part/1";

/// The model of a plan, loaded.
pub struct Model(Localizer);

impl Model {
    /// Loads a file, if it is the model of the plan.
    ///
    /// # Errors
    ///
    /// [`Error::OtherModel`] if it is another one, [`Error::Model`] if it cannot be read or used.
    pub fn load(plan: &Plan, path: &Path) -> Result<Self, Error> {
        let bytes = loc_infer::read_file(path, MAX_MODEL).map_err(Error::Model)?;
        let (planned, found) = (plan.model().sha256.clone(), sha256(&bytes));
        if planned != found {
            return Err(Error::OtherModel { path: path.display().to_string(), planned, found });
        }
        load(path, &bytes, plan.options()).map(Self)
    }
}

/// Loads a model as a plan says.
pub(crate) fn load(path: &Path, bytes: &[u8], options: &Options) -> Result<Localizer, Error> {
    let load = LoadOptions::default().allow_nonfinite(options.allow_nonfinite);
    let load = options.presence.map_or(load, |threshold| load.presence(threshold));
    Localizer::from_bytes_with(bytes, &load).map_err(|error| Error::Model(error.at(path)))
}

/// What happened to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Whether its part was there already.
    pub kept: bool,
    /// Its rows.
    pub rows: u64,
    /// Its rows with an error.
    pub errors: u64,
}

/// Called after each chunk of photos with their number; says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> Step;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Go,
    /// Stop, and keep nothing of this shard.
    Stop,
}

/// Looks at the part of a shard.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read, [`Error::Index`].
pub fn status(plan: &Plan, place: &Place, shard: u64) -> Result<Status, Error> {
    plan.range(shard)?;
    let name = plan.part_name(shard);
    let Some(file) = place.fetch(&name)? else { return Ok(Status::Missing) };
    let part = Reader::open(file).map_err(|e| Error::io(place.show(&name), e))?;
    let Some(Reader { label, .. }) = part else { return Ok(Status::Damaged) };
    let expected = label_of(plan, shard);
    Ok(match label.part == expected.part && label.model == expected.model {
        true => Status::Valid { rows: label.rows, errors: label.errors },
        false => Status::Other,
    })
}

/// The label of a part, before its rows are counted.
fn label_of(plan: &Plan, shard: u64) -> Label {
    Label {
        schema: PART_SCHEMA.into(),
        model: plan.model().sha256.clone(),
        manifest: plan.manifest().sha256.clone(),
        part: Some(PartLabel { plan: plan.digest().into(), shard }),
        rows: 0,
        errors: 0,
    }
}

/// Predicts a shard and writes its part, unless a valid one is there. A photo without an answer is a row with its error; if
/// their share is more than `max_error_rate`, nothing is written.
///
/// # Errors
///
/// [`Error::TooManyErrors`]; [`Error::Stopped`]; [`Error::Io`], also for a photo that could not be read for a reason that may
/// pass; [`Error::OtherManifest`].
pub fn run_shard(
    plan: &Plan,
    place: &Place,
    shard: u64,
    Model(localizer): &Model,
    max_error_rate: f64,
    progress: Progress<'_>,
) -> Result<Done, Error> {
    let too_many = |errors: u64, rows: u64| errors as f64 > max_error_rate * rows as f64;
    if let Status::Valid { rows, errors } = status(plan, place, shard)?
        && !too_many(errors, rows)
    {
        return Ok(Done { kept: true, rows, errors });
    }
    let range = plan.range(shard)?;
    let name = plan.part_name(shard);
    place.sweep(&name)?;
    let scratch = place.scratch(&name)?;
    let failed =
        |error: parquet::errors::ParquetError| Error::io(place.show(&name), std::io::Error::other(error));
    let mut writer = Writer::new(scratch.as_file(), label_of(plan, shard)).map_err(failed)?;
    let manifest = plan.manifest_name();
    let other = |reason: String| Error::OtherManifest { what: place.show(&manifest), reason };
    let list = place.fetch_range(&manifest, range.start, range.bytes)?;
    let mut lines = Lines::new(BufReader::new(list.ok_or_else(|| other("it is missing".into()))?));
    let mut first = None;
    std::thread::scope(|scope| {
        // The next chunk is read while one is predicted.
        let (send, chunks) = sync_channel(1);
        let (lines, client) = (&mut lines, place.client());
        let reader =
            scope.spawn(move || input::read(plan, client, lines, &mut |chunk| send.send(chunk).is_ok()));
        for chunk in chunks {
            let count = chunk.len() as u64;
            for row in predict(localizer, chunk)? {
                if let (None, Some(error)) = (&first, &row.error) {
                    first = Some(format!("{}: {error}", row.path));
                }
                writer.push(row).map_err(failed)?;
            }
            if progress(count) == Step::Stop {
                return Err(Error::Stopped);
            }
        }
        let panicked = |_| Error::io("the photos", std::io::Error::other("the reading thread panicked"));
        reader.join().map_err(panicked)?
    })?;
    if lines.take_digest() != (range.bytes, range.sha256.clone()) {
        return Err(other("the lines of this shard have changed".into()));
    }
    let Label { rows, errors, .. } = writer.finish().map_err(failed)?;
    if too_many(errors, rows) {
        return Err(Error::TooManyErrors { shard, errors, photos: rows, first: first.unwrap_or_default() });
    }
    place.publish(scratch, &name)?;
    Ok(Done { kept: false, rows, errors })
}

fn source(photo: &Photo) -> Option<Source<'_>> {
    match &photo.content {
        Content::File(path) => Some(Source::Path(path)),
        Content::Bytes(bytes) => Some(Source::Encoded(bytes)),
        Content::Failed(_) => None,
    }
}

/// The rows of some photos.
fn predict(localizer: &Localizer, photos: Vec<Photo>) -> Result<Vec<Row>, Error> {
    let sources: Vec<Source<'_>> = photos.iter().filter_map(source).collect();
    let mut answers = localizer.predict_batch(&sources).into_iter();
    let row = |photo: &Photo| match &photo.content {
        Content::Failed(reason) => Ok(Row::failed(photo.path.clone(), reason.clone())),
        _ => {
            let answer = answers.next().unwrap_or(Err(loc_infer::Error::Empty));
            Ok(Row::of(photo.path.clone(), passing(answer)?))
        }
    };
    photos.iter().map(row).collect()
}

/// An answer, or an error of the photo itself. An error that may pass, such as that of a network or of a disk, is not the photo's.
fn passing<T>(result: Result<T, loc_infer::Error>) -> Result<Result<T, loc_infer::Error>, Error> {
    let error = match result {
        Ok(answer) => return Ok(Ok(answer)),
        Err(error) => error,
    };
    match error.reason() {
        loc_infer::Error::Read(cause) if !is_own(cause) => {
            let cause = std::io::Error::new(cause.kind(), cause.to_string());
            let what = match &error {
                loc_infer::Error::At { path, .. } => path.display().to_string(),
                _ => "a photo".into(),
            };
            Err(Error::io(what, cause))
        }
        _ => Ok(Err(error)),
    }
}

/// Whether a file cannot be read for a reason of its own, which stays.
fn is_own(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
    };
    // A loop of links: the kind has no stable name yet.
    #[cfg(target_os = "linux")]
    const LOOP: Option<i32> = Some(40);
    #[cfg(not(target_os = "linux"))]
    const LOOP: Option<i32> = Some(62);
    let kinds = [NotFound, PermissionDenied, IsADirectory, NotADirectory, InvalidFilename, InvalidInput];
    kinds.contains(&error.kind()) || error.raw_os_error() == LOOP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_disks_and_networks_are_not_the_photos() {
        // EIO, EMFILE, ETIMEDOUT, ESTALE of Linux; ENOENT, EACCES, ENOTDIR, ELOOP.
        for (code, own) in [
            (5, false),
            (24, false),
            (110, false),
            (116, false),
            (2, true),
            (13, true),
            (20, true),
            (40, true),
        ] {
            if cfg!(target_os = "linux") {
                let error = std::io::Error::from_raw_os_error(code);
                let result = passing::<()>(Err(loc_infer::Error::Read(error).at(Path::new("a.jpg"))));
                assert_eq!(result.is_ok(), own, "{code}");
                assert!(own || result.is_err_and(|e| e.retry() == crate::Retry::Again));
            }
        }
    }
}

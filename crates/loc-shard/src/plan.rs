//! The plan: which model predicts which photos in how many shards. It is made once, and never changed.

use std::io::{BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::manifest::{Lines, Manifest, Range, copy, duplicates, first_line, ranges};
use crate::{Error, MERGED, Place, SUCCESS, sha256};

/// The name of the plan's file.
pub const PLAN: &str = "_plan.json";

const SCHEMA: &str = "loc.shard-plan/1";

/// The plan of a prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    schema: String,
    /// The version of loc: another one may answer differently.
    loc: String,
    /// The folder for the relative paths of the manifest.
    root: String,
    model: PlannedModel,
    options: Options,
    manifest: Manifest,
    shards: Vec<Range>,
    /// SHA-256 of the plan's file; not in it.
    #[serde(skip)]
    digest: String,
}

/// The model of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedModel {
    /// Where it was.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Options that change the answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The threshold of presence in place of the model's own, 0..=1.
    pub presence: Option<f32>,
    /// Use the model even if some of its weights are infinite or NaN.
    pub allow_nonfinite: bool,
}

/// What a plan is made of.
pub struct Request<'a> {
    /// The list of photos, one path a line.
    pub manifest: Box<dyn BufRead + 'a>,
    /// The name of the list in errors.
    pub name: String,
    /// The folder for its relative paths.
    pub root: &'a Path,
    /// The model's file.
    pub model: &'a Path,
    /// Options that change the answers.
    pub options: Options,
    /// The number of shards.
    pub shards: u64,
}

impl Plan {
    /// Makes a plan. An equal plan that is there already is returned; then nothing is written, and the second value is `false`.
    ///
    /// # Errors
    ///
    /// [`Error::OtherPlan`] if there is another one, or parts without a plan; a list or a model that cannot be used.
    pub fn create(place: &Place, request: Request<'_>) -> Result<(Self, bool), Error> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::at(path));
        let root = absolute(request.root)?;
        let root = root.to_str().ok_or_else(|| Error::BadPlan {
            what: root.display().to_string(),
            reason: "the folder's name is not UTF-8".into(),
        })?;
        let bytes = loc_infer::read_file(request.model, crate::shard::MAX_MODEL).map_err(Error::Model)?;
        crate::shard::load(request.model, &bytes, &request.options)?;
        let model = PlannedModel { path: absolute(request.model)?, sha256: sha256(&bytes) };
        drop(bytes);
        place.create()?;
        let mut scratch = place.scratch("_manifest.txt")?;
        let manifest = copy(&request.name, request.manifest, std::io::BufWriter::new(scratch.as_file_mut()))?;
        if !(1..=manifest.lines).contains(&request.shards) {
            return Err(Error::Shards { shards: request.shards, photos: manifest.lines });
        }
        let copied = || -> std::io::Result<_> {
            let mut file = scratch.reopen()?;
            file.rewind()?;
            Ok(BufReader::new(file))
        };
        let failed = |e| Error::io("the copy of the manifest", e);
        let shards = ranges(copied().map_err(failed)?, request.shards, manifest.lines)?;
        let each = |take: &mut dyn FnMut(&str)| {
            let mut lines = Lines::new(copied()?);
            while let Some(line) = lines.next_line()? {
                take(line);
            }
            Ok(())
        };
        if let Some(twice) = duplicates::find(manifest.lines, each).map_err(failed)? {
            let mut lines = Lines::new(copied().map_err(failed)?);
            let mut line = 0;
            for seen in [false, true] {
                line += 1;
                while lines.next_line().map_err(failed)?.is_some_and(|path| path != twice) {
                    line += 1;
                }
                if seen {
                    break;
                }
            }
            let reason = format!("{twice} is listed before");
            return Err(Error::Manifest { manifest: request.name, line, reason });
        }
        let plan = Self {
            schema: SCHEMA.into(),
            loc: env!("CARGO_PKG_VERSION").into(),
            root: root.into(),
            model,
            options: request.options,
            manifest,
            shards,
            digest: String::new(),
        };
        if place.read(PLAN)?.is_some() {
            return plan.or_existing(place);
        }
        let results = |name: &String| name.starts_with("part-") || [MERGED, SUCCESS].contains(&name.as_str());
        if let Some(result) = place.list()?.into_iter().find(results) {
            let (planned, given) = (format!("unknown ({result} is there without one)"), "new".into());
            return Err(Error::OtherPlan { place: place.show(""), field: "plan", planned, given });
        }
        place.publish_new(scratch, &plan.manifest_name())?;
        let mut scratch = place.scratch(PLAN)?;
        let json = serde_json::to_string_pretty(&plan).map_err(|e| Error::io(PLAN, e))?;
        writeln!(scratch, "{json}").map_err(|e| Error::io(place.show(PLAN), e))?;
        match place.publish_new(scratch, PLAN)? {
            true => Self::open(place).map(|plan| (plan, true)),
            // Another process was faster.
            false => plan.or_existing(place),
        }
    }

    /// Reads the plan of a place.
    ///
    /// # Errors
    ///
    /// [`Error::NoPlan`], [`Error::BadPlan`], and [`Error::Version`] for the plan of another version.
    pub fn open(place: &Place) -> Result<Self, Error> {
        let bytes = place.read(PLAN)?.ok_or_else(|| Error::NoPlan { place: place.show("") })?;
        let bad = |reason: String| Error::BadPlan { what: place.show(PLAN), reason };
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        let planned = json["loc"].as_str().unwrap_or("of an unknown version").to_owned();
        if planned != env!("CARGO_PKG_VERSION") {
            return Err(Error::Version { planned, found: env!("CARGO_PKG_VERSION").into() });
        }
        let plan: Self = serde_json::from_value(json).map_err(|e| bad(e.to_string()))?;
        if plan.schema != SCHEMA || plan.shards.is_empty() {
            return Err(bad(format!("its schema is {}", plan.schema)));
        }
        Ok(Self { digest: sha256(&bytes), ..plan })
    }

    /// The existing plan, if it is equal.
    fn or_existing(self, place: &Place) -> Result<(Self, bool), Error> {
        let found = Self::open(place)?;
        let number = |n: usize| n.to_string();
        let options = |plan: &Self| serde_json::to_string(&plan.options).unwrap_or_default();
        for (field, planned, given) in [
            ("model", found.model.sha256.clone(), self.model.sha256.clone()),
            ("manifest", found.manifest.sha256.clone(), self.manifest.sha256.clone()),
            ("number of shards", number(found.shards.len()), number(self.shards.len())),
            ("folder of photos", found.root.clone(), self.root.clone()),
            ("options", options(&found), options(&self)),
        ] {
            if planned != given {
                return Err(Error::OtherPlan { place: place.show(""), field, planned, given });
            }
        }
        Ok((found, false))
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.shards.len() as u64
    }

    /// The number of photos.
    #[must_use]
    pub fn photos(&self) -> u64 {
        self.manifest.lines
    }

    /// The number of photos of a shard; 0 if there is no such shard.
    #[must_use]
    pub fn photos_of(&self, shard: u64) -> u64 {
        let first = |shard| first_line(shard, self.shards(), self.manifest.lines);
        if shard < self.shards() { first(shard + 1) - first(shard) } else { 0 }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &PlannedModel {
        &self.model
    }

    /// Options that change the answers.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// SHA-256 of the plan's file, which each part carries.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The name of the manifest's copy: by its content, so that two plans made at the same time do not mix.
    pub(crate) fn manifest_name(&self) -> String {
        format!("_manifest-{}.txt", self.manifest.sha256.get(..16).unwrap_or_default())
    }

    /// Where the lines of a shard are.
    pub(crate) fn range(&self, shard: u64) -> Result<&Range, Error> {
        let found = usize::try_from(shard).ok().and_then(|shard| self.shards.get(shard));
        found.ok_or(Error::Index { index: shard, shards: self.shards() })
    }

    /// The file of a line of the manifest.
    pub(crate) fn path(&self, line: &str) -> PathBuf {
        Path::new(&self.root).join(line)
    }

    /// The name of a shard's part.
    #[must_use]
    pub fn part_name(&self, shard: u64) -> String {
        format!("part-{shard:05}.parquet")
    }
}

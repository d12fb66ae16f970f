//! Which annotation gets which photo, and which photos none: each annotation names one, several may come to the same,
//! and no photo is two samples.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::assemble::Assembly;
use crate::finder::{Found, How, Lost};
use crate::formats::number::quoted;
use crate::formats::{Annotation, Annotations};
use crate::tree::{is_derived, is_read, name_of, stem_of};
use crate::{Finding, Kind};

/// An annotation and the photo that it came to.
struct Claim<'a> {
    /// The annotation's place among all.
    at: usize,
    annotation: &'a Annotation,
    found: Found,
    /// For a photo of the annotation's own name: why it is not the photo that the annotation names.
    instead: String,
}

impl Claim<'_> {
    /// How good the claim is; the least is the best.
    fn rank(&self) -> (How, bool, bool) {
        let (source, path) = (stem_of(&self.annotation.source), &self.found.path);
        let owned = is_xml(&self.annotation.source) && (source == stem_of(path) || source == name_of(path));
        (self.found.how, !owned, !self.found.near)
    }

    /// Whether both say plainly that the photo is theirs, and nobody can tell which is right.
    fn equals(&self, other: &Self) -> bool {
        self.found.how == other.found.how && self.found.near == other.found.near
    }
}

impl Assembly<'_> {
    /// The photo of each annotation, in their order; annotations whose photo is missing, ambiguous or another's become
    /// findings.
    pub(crate) fn find_photos<'b>(
        &mut self,
        annotations: &'b [Annotation],
    ) -> Vec<(PathBuf, &'b Annotation)> {
        let (mut claims, mut lost) = (Vec::new(), Vec::new());
        for (at, annotation) in annotations.iter().enumerate() {
            match self.tree.find(&annotation.source, &annotation.photo) {
                Ok(found) => claims.push(Claim { at, annotation, found, instead: String::new() }),
                // Only a file of one annotation has a name that may be the photo's. Said at once: a table may name millions
                // of photos that are not there.
                Err(why) if !is_xml(&annotation.source) => self.absent(annotation, why, &HashMap::new()),
                Err(why) => lost.push((at, annotation, why)),
            }
        }
        let (mut winners, losers) = settle(claims);
        // The name of the annotation itself, where the one in it is stale: a copy of another annotation, or the same name
        // in all of them.
        let free = |annotation: &Annotation| {
            let found = self.tree.find_by_own_name(&annotation.source).filter(|_| is_xml(&annotation.source));
            found.filter(|found| !winners.contains_key(&found.path))
        };
        let (mut own, mut beaten, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for claim in losers {
            let winner = &winners[&claim.found.path];
            match free(claim.annotation).filter(|_| claim.rank() > winner.rank()) {
                Some(found) => {
                    let instead = format!("that one is annotated in {}", winner.annotation.source.display());
                    own.push(Claim { found, instead, ..claim });
                }
                None => beaten.push(claim),
            }
        }
        for (at, annotation, why) in lost {
            match free(annotation).filter(|_| matches!(why, Lost::Absent(..))) {
                Some(found) => {
                    own.push(Claim { at, annotation, found, instead: "there is none of that name".into() })
                }
                None => missing.push((annotation, why)),
            }
        }
        let (own, losers) = settle(own);
        beaten.extend(losers);
        winners.extend(own);
        for (annotation, why) in missing {
            self.absent(annotation, why, &winners);
        }
        for claim in beaten {
            self.beaten(&claim, &winners[&claim.found.path]);
        }
        let mut winners: Vec<Claim<'_>> = winners.into_values().collect();
        winners.sort_unstable_by_key(|claim| claim.at);
        winners.iter().for_each(|claim| self.say_how(claim));
        winners.into_iter().map(|claim| (claim.found.path, claim.annotation)).collect()
    }

    /// An annotation without a photo.
    fn absent(&mut self, annotation: &Annotation, why: Lost, winners: &HashMap<PathBuf, Claim<'_>>) {
        self.missing += 1;
        let (kind, why, hint) = match why {
            Lost::Ambiguous(why) => {
                (Kind::PhotoAmbiguous, why, Some("rename one of them: a name stands for one photo".into()))
            }
            Lost::Absent(why, hint) => {
                let own =
                    self.tree.find_by_own_name(&annotation.source).filter(|_| is_xml(&annotation.source));
                let own = own.and_then(|found| winners.get(&found.path)).map(|winner| {
                    let (path, source) = (winner.found.path.display(), winner.annotation.source.display());
                    format!("{path}, named like this annotation, is annotated in {source}")
                });
                (Kind::PhotoMissing, why, hint.or(own))
            }
        };
        let message = format!("the photo {} {why}", quoted(&annotation.photo));
        self.error_at(kind, annotation, annotation.line, message, hint);
    }

    /// An annotation whose photo is another's.
    fn beaten(&mut self, claim: &Claim<'_>, winner: &Claim<'_>) {
        let name = quoted(&claim.annotation.photo);
        let (source, path) = (winner.annotation.source.display(), winner.found.path.display());
        if claim.equals(winner) {
            let message = if winner.annotation.source == claim.annotation.source {
                format!(
                    "the photo {name} is annotated under two names: {} too",
                    quoted(&winner.annotation.photo)
                )
            } else {
                format!("the photo {name} is annotated in {source} too")
            };
            let hint = Some("keep one of them".into());
            self.error_at(Kind::PhotoDoubled, claim.annotation, claim.annotation.line, message, hint);
            // Nobody knows which of the two is right.
            self.spoiled.insert(winner.found.path.clone());
        } else {
            self.missing += 1;
            let theirs = quoted(&winner.annotation.photo);
            let message =
                format!("the photo {name} does not exist; {path} comes near, and is {theirs} in {source}");
            let hint = Some("one of the two names is wrong".into());
            self.error_at(Kind::PhotoMissing, claim.annotation, claim.annotation.line, message, hint);
        }
    }

    /// Says where a photo was found that is not where its name says.
    fn say_how(&mut self, claim: &Claim<'_>) {
        let Claim { annotation, found, instead, .. } = claim;
        let (name, path) = (quoted(&annotation.photo), found.path.display());
        let at = (&annotation.source, Some(annotation.line));
        let why = match found.how {
            How::AsGiven => None,
            How::EndingCase => Some("only the case of its ending differs".to_owned()),
            How::Ending => Some("only its ending differs".to_owned()),
            How::Spelling => Some("only the spelling differs".to_owned()),
            How::Case => Some("only the case differs".to_owned()),
            How::OwnName => Some(format!("{instead}, and it has the annotation's name")),
        };
        if let Some(why) = why {
            let message = format!("the photo {name} is taken from {path}: {why}");
            self.findings.push(Finding::warning(Kind::PhotoRenamed, at.0, at.1, message));
        }
        if found.outside {
            let message = format!("the photo {name} lies outside the data set's folder: {path}");
            self.findings.push(Finding::warning(Kind::PhotoOutside, at.0, at.1, message));
        }
    }

    /// Photos that no annotation names, in the folders where photos are.
    pub(crate) fn unannotated(&mut self, annotations: &Annotations, found: &[(PathBuf, &Annotation)]) {
        let photos: HashSet<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
        let folders: HashSet<Option<&Path>> = photos.iter().map(|p| p.parent()).collect();
        let stems: HashSet<String> = photos.iter().map(|path| stem_of(path).to_lowercase()).collect();
        let broken: HashSet<&str> = annotations.broken.iter().map(|p| stem_of(p)).collect();
        let sources = annotations.photos.iter().filter(|a| is_xml(&a.source));
        let named_like: HashMap<&str, &Annotation> = sources.map(|a| (stem_of(&a.source), a)).collect();
        for path in &self.tree.photos {
            let folder = path.parent().unwrap_or(Path::new(""));
            let of_photos = folders.contains(&path.parent()) || self.tree.is_of_photos(folder);
            // What a camera writes beside a JPEG is that photo once more.
            let other_form = !is_read(path) && stems.contains(&stem_of(path).to_lowercase());
            let known = photos.contains(&**path) || broken.contains(stem_of(path));
            if known || other_form || !of_photos || is_derived(path) {
                continue;
            }
            let mut message = "has no annotation, it is left out".to_owned();
            if let Some(near) = named_like.get(stem_of(path)) {
                let (source, photo) = (near.source.display(), quoted(&near.photo));
                message = format!("{message}; {source}, named like it, is for {photo}");
            }
            self.findings.push(Finding::warning(Kind::PhotoUnannotated, &**path, None, message));
        }
    }
}

/// The best claim on each photo, of equals the first, and the others in their order.
fn settle(claims: Vec<Claim<'_>>) -> (HashMap<PathBuf, Claim<'_>>, Vec<Claim<'_>>) {
    let mut winners: HashMap<PathBuf, Claim<'_>> = HashMap::new();
    let mut losers = Vec::new();
    for claim in claims {
        match winners.get_mut(&claim.found.path) {
            Some(best) if claim.rank() < best.rank() => losers.push(std::mem::replace(best, claim)),
            Some(_) => losers.push(claim),
            None => {
                winners.insert(claim.found.path.clone(), claim);
            }
        }
    }
    losers.sort_unstable_by_key(|claim| claim.at);
    (winners, losers)
}

fn is_xml(source: &Path) -> bool {
    source.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
}

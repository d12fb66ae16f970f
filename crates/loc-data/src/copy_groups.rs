//! Groups photos that are copies of one source: the same bytes, or names given by augmentation and export tools. With copies
//! on both sides of a split, a model would be evaluated on photos it has learned.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

use crate::file_index::stem_of;
use crate::photo::Photo;
use crate::{DataError, Sample};

/// Names of copies: `photo_jpg.rf.0123abcd` (Roboflow), `photo_aug3`.
static COPIES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^(.+?)(?:\.rf\.[0-9a-z]{8,}|[ _.-]aug(?:mented)?[ _-]?[0-9]*)$").ok());
/// Names of copies, if a photo without the suffix exists: `photo (2)`, `photo - Copy`, `photo_copy2`. Otherwise
/// the suffix is a mere number: whole folders are renamed to `cat (1)`, `cat (2)`, ….
static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(.+?)(?: ?\([0-9]+\)| - copy(?: \([0-9]+\))?|[ _-]copy[ _-]?[0-9]*)$").ok()
});

/// The rule that groups samples.
#[derive(Debug)]
pub(crate) struct Grouping {
    pattern: Option<Regex>,
}

impl Grouping {
    /// With a user's pattern, photos whose paths have the same first group (or the same match, if the pattern has no group) are
    /// copies of one source.
    ///
    /// # Errors
    ///
    /// [`DataError::Argument`] if the pattern is not a valid regular expression.
    pub(crate) fn new(pattern: Option<&str>) -> Result<Self, DataError> {
        let parse = |pattern: &str| {
            Regex::new(pattern).map_err(|e| DataError::Argument {
                what: "pattern of groups",
                value: pattern.to_owned(),
                range: format!("it must be a regular expression: {e}"),
            })
        };
        Ok(Self { pattern: pattern.map(parse).transpose()? })
    }

    /// Sets the group of each sample; the samples of a group are copies of one source. `photos` are the decoded photos of the
    /// data set, each path once.
    pub(crate) fn group(&self, samples: &mut [Sample], photos: &[(PathBuf, Photo)]) {
        let digests: HashMap<&PathBuf, &[u8; 32]> =
            photos.iter().map(|(path, photo)| (path, &photo.digest)).collect();
        let mut groups = DisjointSets((0..samples.len()).collect());
        let mut by_digest = HashMap::new();
        let mut by_name = HashMap::new();
        let stems: HashMap<String, usize> =
            (0..).zip(&*samples).map(|(i, s)| (stem_of(&s.image).to_lowercase(), i)).collect();
        for (i, sample) in samples.iter().enumerate() {
            if let Some(digest) = digests.get(&sample.image) {
                groups.union(i, *by_digest.entry(*digest).or_insert(i));
            }
            if let Some(key) = self.key(sample, &stems) {
                groups.union(i, *by_name.entry(key.clone()).or_insert(i));
                // The source has the name without a suffix.
                if let Some(source) = stems.get(&key).filter(|_| self.pattern.is_none()) {
                    groups.union(i, *source);
                }
            }
        }
        let first: Vec<usize> = (0..samples.len()).map(|i| groups.find(i)).collect();
        let mut members = vec![0; samples.len()];
        first.iter().for_each(|group| members[*group] += 1);
        for (sample, group) in samples.iter_mut().zip(first) {
            sample.group = (members[group] > 1).then_some(group);
        }
    }

    /// The common key of the names of copies of one source.
    fn key(&self, sample: &Sample, stems: &HashMap<String, usize>) -> Option<String> {
        let first = |regex: &Regex, text: &str| {
            let found = regex.captures(text)?;
            Some(found.get(1).or_else(|| found.get(0))?.as_str().to_owned())
        };
        if let Some(pattern) = &self.pattern {
            return first(pattern, &sample.file);
        }
        let stem = stem_of(&sample.image).to_lowercase();
        if let Some(key) = COPIES.as_ref().and_then(|regex| first(regex, &stem)) {
            return Some(key);
        }
        NUMBERED.as_ref().and_then(|regex| first(regex, &stem)).filter(|key| stems.contains_key(key))
    }
}

/// Disjoint sets of indices (union-find): for each index a smaller index of its set, or itself.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn find(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BBox, ImageSize, LabelledObject};

    /// Of each photo the group; 9 where it has none.
    fn groups(pattern: Option<&str>, names: &[&str]) -> Vec<usize> {
        let sample = |name: &&str| Sample {
            image: name.into(),
            file: (*name).to_owned(),
            size: ImageSize { width: 8, height: 8 },
            object: Some(LabelledObject { class: 0, bbox: BBox { x1: 1.0, y1: 1.0, x2: 7.0, y2: 7.0 } }),
            subset: None,
            digest: [0; 32],
            group: None,
        };
        let mut samples: Vec<Sample> = names.iter().map(sample).collect();
        Grouping::new(pattern).unwrap().group(&mut samples, &[]);
        samples.iter().map(|sample| sample.group.unwrap_or(9)).collect()
    }

    #[test]
    fn names_of_copies_are_known() {
        let cases: [(&[&str], &[usize]); 7] = [
            (
                &["a_jpg.rf.0123456789abcdef.jpg", "b_jpg.rf.0123456789abcdef.jpg", "a_jpg.rf.fedcba98.jpg"],
                &[0, 9, 0],
            ),
            (&["a.jpg", "a_aug1.jpg", "b_aug1.jpg", "A-AUG-2.png"], &[0, 0, 9, 0]),
            (&["a (2).jpg", "b (2).jpg", "a.jpg", "a - Copy.jpg", "a_copy.jpg"], &[0, 9, 0, 0, 0]),
            (&["cat (1).jpg", "cat (2).jpg", "cat (3).jpg"], &[9, 9, 9]),
            (&["frame1.jpg", "frame2.jpg", "august.jpg", "aug.jpg"], &[9, 9, 9, 9]),
            (&["one/a.jpg", "two/a.jpg"], &[9, 9]),
            (&["train/a_aug1.jpg", "valid/a_aug2.jpg"], &[0, 0]),
        ];
        for (names, expected) in cases {
            assert_eq!(groups(None, names), expected, "{names:?}");
        }
    }

    #[test]
    fn a_pattern_says_which_part_of_the_path_counts() {
        let names = ["cam1/7.jpg", "cam2/7.jpg", "cam1/8.jpg", "other.jpg"];
        assert_eq!(groups(Some("^(cam[0-9])/"), &names), [0, 9, 0, 9]);
        assert_eq!(groups(Some("[0-9]\\.jpg"), &names), [0, 0, 9, 9]);
        let message = Grouping::new(Some("(")).unwrap_err().to_string();
        assert!(message.contains("pattern of groups") && message.contains("unclosed group"), "{message}");
    }

    #[test]
    fn joined_groups_are_one() {
        let mut groups = DisjointSets((0..5).collect());
        groups.union(4, 2);
        groups.union(3, 1);
        groups.union(1, 4);
        assert_eq!((0..5).map(|i| groups.find(i)).collect::<Vec<_>>(), [0, 1, 1, 1, 1]);
    }
}

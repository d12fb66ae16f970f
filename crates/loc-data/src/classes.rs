//! Class names: the list in its order, and the index of each label. Names are compared exactly; a name that is almost
//! equal to another is an error, because a misspelt name would become a class of its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::formats::Label;
use crate::formats::number::quoted;
use crate::similar_names::{most_similar, similarity_key};
use crate::{DataError, Hint, Remedy};

/// Most class names that a message lists.
const LISTED: usize = 20;
/// Most classes without a given list: a column with more values is not a class column.
const MAX_CLASSES: usize = 10_000;
/// Most pairs of label and name that are compared for suggestions: a few unknown labels get one, a column of something else
/// does not.
const MAX_COMPARED: usize = 100_000;

/// Why a label has no class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassError {
    pub(crate) message: String,
    pub(crate) hint: Option<Hint>,
}

/// The classes of a data set, and the mapping from labels to their indices.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) names: Vec<String>,
    index: BTreeMap<Label, usize>,
    invalid: BTreeMap<Label, ClassError>,
}

impl Classes {
    /// Settles the classes from every label of the data set and, if given, the list of names. `own` is the data set's own
    /// list, which gives the order where the user gives none; it may be empty.
    ///
    /// Without a list, names are ordered bytewise, numbers by value. With a list, a number is an index into it,
    /// or, if there are as many different numbers as names, the numbers are named in ascending order.
    ///
    /// # Errors
    ///
    /// [`DataError::Argument`] if the given list is empty or names a class twice or not at all, [`DataError::Classes`]
    /// if without a list there are so many that they cannot be classes.
    pub(crate) fn from_labels<'a>(
        labels: impl Iterator<Item = &'a Label>,
        given: Option<&[String]>,
        own: &[String],
    ) -> Result<Self, DataError> {
        let mut counts: BTreeMap<Label, usize> = BTreeMap::new();
        for label in labels {
            *counts.entry(label.clone()).or_default() += 1;
        }
        let given = given.map(class_list).transpose()?;
        let given = given.as_deref();
        if given.is_none() {
            check_found(&counts)?;
        }
        if given.is_none() && !own.is_empty() && counts.keys().all(|label| own.contains(&label.to_string())) {
            return Ok(Self::listed(&counts, own));
        }
        // Numbers, unless a single label is none.
        let numbers: Option<BTreeMap<u32, Vec<&Label>>> =
            counts.keys().try_fold(BTreeMap::new(), |mut map, l| {
                map.entry(number(l)?).or_insert_with(Vec::new).push(l);
                Some(map)
            });
        let known: HashSet<&str> = given.into_iter().flatten().map(String::as_str).collect();
        Ok(match (numbers, given) {
            (_, Some(names)) if counts.keys().all(|l| known.contains(&*l.to_string())) => {
                Self::listed(&counts, names)
            }
            (Some(numbers), given) if !numbers.is_empty() => Self::numbered(&numbers, given),
            (_, Some(names)) => Self::listed(&counts, names),
            (_, None) => Self::inferred(&counts),
        })
    }

    /// The index of a label's class.
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub(crate) fn index(&self, label: &Label) -> Result<usize, ClassError> {
        match (self.index.get(label), self.invalid.get(label)) {
            (Some(index), _) => Ok(*index),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => {
                let message = format!("unknown class {}", quoted(&label.to_string()));
                Err(ClassError { message, hint: None })
            }
        }
    }

    /// Keeps only the classes that are used; the order stays.
    pub(crate) fn keep(&mut self, used: &[bool]) {
        let kept = |i: &usize| used.get(*i).copied().unwrap_or(false);
        let mut before = 0;
        let place = |i| {
            before += usize::from(kept(&i));
            before - usize::from(kept(&i))
        };
        let moved: Vec<usize> = (0..self.names.len()).map(place).collect();
        self.index.retain(|_, i| kept(i));
        for index in self.index.values_mut() {
            *index = moved[*index];
        }
        let mut at = 0..;
        self.names.retain(|_| at.next().is_some_and(|i| kept(&i)));
    }

    fn numbered(numbers: &BTreeMap<u32, Vec<&Label>>, given: Option<&[String]>) -> Self {
        let mut classes = Self { names: vec![], index: BTreeMap::new(), invalid: BTreeMap::new() };
        let in_turn: Vec<String> = numbers.keys().map(ToString::to_string).collect();
        classes.names = given.map_or_else(|| in_turn.clone(), <[String]>::to_vec);
        let count = classes.names.len();
        let as_index = |n: u32| usize::try_from(n).ok().filter(|i| *i < count);
        let by_index = given.is_some() && numbers.keys().all(|n| as_index(*n).is_some());
        for (turn, (number, labels)) in numbers.iter().enumerate() {
            let index = if by_index || numbers.len() != count { as_index(*number) } else { Some(turn) };
            for label in labels {
                match index {
                    Some(index) => drop(classes.index.insert((*label).clone(), index)),
                    None => {
                        let message = format!("class number {number}, but {count} classes are named");
                        let hint = format!("numbers count from 0; the data has {}", listed(&in_turn));
                        classes
                            .invalid
                            .insert((*label).clone(), ClassError { message, hint: Some(hint.into()) });
                    }
                }
            }
        }
        classes
    }

    fn listed(counts: &BTreeMap<Label, usize>, names: &[String]) -> Self {
        let mut classes = Self { names: names.to_vec(), index: BTreeMap::new(), invalid: BTreeMap::new() };
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let (all, mut left) = (listed(names), MAX_COMPARED);
        for label in counts.keys() {
            let text = label.to_string();
            match places.get(text.as_str()) {
                Some(index) => drop(classes.index.insert(label.clone(), *index)),
                None => {
                    let message = format!("unknown class {}, known are {all}", quoted(&text));
                    let compared = if left < names.len() { &[] } else { names };
                    left = left.saturating_sub(names.len());
                    let hint: Hint = match most_similar(&text, compared) {
                        Some(name) => format!("did you mean `{name}`?").into(),
                        None => Hint::option(
                            "correct the annotation, or add the class to the list",
                            Remedy::ListClasses,
                        ),
                    };
                    classes.invalid.insert(label.clone(), ClassError { message, hint: Some(hint) });
                }
            }
        }
        classes
    }

    fn inferred(counts: &BTreeMap<Label, usize>) -> Self {
        // Of names that differ only in case or blanks, the most frequent is assumed to be right.
        let mut preferred: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (label, count) in counts {
            let text = label.to_string();
            let best = preferred.entry(similarity_key(&text)).or_insert((0, String::new()));
            let normalize = text.trim() == text;
            if *count > best.0 && (normalize || best.0 == 0) {
                *best = (*count, text);
            }
        }
        let mut classes = Self { names: vec![], index: BTreeMap::new(), invalid: BTreeMap::new() };
        for label in counts.keys() {
            let text = label.to_string();
            let (count, name) = &preferred[&similarity_key(&text)];
            if text.trim() != text {
                let message = format!("class {} begins or ends with a blank", quoted(&text));
                let hint = format!("did you mean `{}`?", text.trim());
                classes.invalid.insert(label.clone(), ClassError { message, hint: Some(hint.into()) });
            } else if *name != text {
                let times = crate::error::count(*count, "object");
                let message = format!("class {}, but {times} of `{name}`", quoted(&text));
                let hint = format!("did you mean `{name}`? If it is a separate class, list the classes");
                let hint = Hint::option(hint, Remedy::ListClasses);
                classes.invalid.insert(label.clone(), ClassError { message, hint: Some(hint) });
            } else {
                classes.names.push(text);
            }
        }
        classes.names.sort_unstable();
        classes.names.dedup();
        for label in counts.keys() {
            if let Ok(index) = classes.names.binary_search(&label.to_string()) {
                classes.index.insert(label.clone(), index);
            }
        }
        classes
    }
}

/// The number that a label stands for: decimal digits without leading zeros.
fn number(label: &Label) -> Option<u32> {
    match label {
        Label::Number(n) => Some(*n),
        Label::Name(name) => name.parse().ok().filter(|n: &u32| n.to_string() == *name),
    }
}

/// A given list of class names, `cat, dog`, without the blanks around each name.
///
/// # Errors
///
/// [`DataError::Argument`] if it is empty, or has an empty name or a duplicate: the rule for model files, which store it.
pub fn class_list(given: &[String]) -> Result<Vec<String>, DataError> {
    let names: Vec<String> = given.iter().map(|name| name.trim().to_owned()).collect();
    match loc_infer::check_class_names(&names) {
        Ok(()) => Ok(names),
        Err(error) => Err(DataError::Argument {
            what: "list of classes",
            value: quoted(&given.join(",")),
            range: format!("{error} (hint: give distinct names, separated by commas: cat,dog)"),
        }),
    }
}

/// Returns an error if the labels cannot be classes: too many of them, or fewer than two objects of each on average, as if
/// another column was taken for the class column.
fn check_found(counts: &BTreeMap<Label, usize>) -> Result<(), DataError> {
    let (classes, objects) = (counts.len(), counts.values().sum::<usize>());
    if classes <= LISTED || classes <= MAX_CLASSES && 2 * classes <= objects {
        return Ok(());
    }
    let examples: Vec<String> = counts.keys().take(3).map(|label| quoted(&label.to_string())).collect();
    Err(DataError::Classes { classes, objects, examples: examples.join(", ") })
}

fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(LISTED).map(|n| quoted(n)).collect();
    if names.len() > LISTED {
        text.push(format!("… ({} in all)", names.len()));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests;

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
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<Label> {
        list.iter().map(|n| Label::Name((*n).to_owned())).collect()
    }

    fn numbers(list: &[u32]) -> Vec<Label> {
        list.iter().map(|n| Label::Number(*n)).collect()
    }

    fn from_labels(labels: &[Label], given: Option<&[&str]>) -> Classes {
        let given: Option<Vec<String>> = given.map(|g| g.iter().map(|n| (*n).to_owned()).collect());
        Classes::from_labels(labels.iter(), given.as_deref(), &[]).unwrap()
    }

    /// The class of each label by name; the message where there is none.
    fn resolved(labels: &[Label], given: Option<&[&str]>) -> Vec<String> {
        let classes = from_labels(labels, given);
        let name = |l| match classes.index(l) {
            Ok(index) => classes.names[index].clone(),
            Err(ClassError { message, hint }) => {
                format!("{message} | {}", hint.map(|h| h.to_string()).unwrap_or_default())
            }
        };
        labels.iter().map(name).collect()
    }

    #[test]
    fn names_are_ordered_bytewise() {
        assert_eq!(
            from_labels(&names(&["dog", "cat", "dog", "Zebra", "äffchen"]), None).names,
            ["Zebra", "cat", "dog", "äffchen"]
        );
        assert_eq!(from_labels(&names(&["dog", "cat"]), Some(&["dog", "cat"])).names, ["dog", "cat"]);
    }

    #[test]
    fn numbers_are_ordered_by_value_and_named_by_the_list() {
        assert_eq!(from_labels(&numbers(&[10, 2, 0]), None).names, ["0", "2", "10"]);
        assert_eq!(from_labels(&names(&["10", "2"]), None).names, ["2", "10"]);
        assert_eq!(resolved(&numbers(&[1, 0]), Some(&["cat", "dog"])), ["dog", "cat"]);
        assert_eq!(resolved(&numbers(&[2, 0]), Some(&["a", "b", "c"])), ["c", "a"]);
        assert_eq!(resolved(&numbers(&[2, 1]), Some(&["a", "b"])), ["b", "a"], "counted from 1");
        assert_eq!(resolved(&names(&["0", "1"]), Some(&["cat", "dog"])), ["cat", "dog"]);
        let bad = resolved(&numbers(&[0, 3]), Some(&["a", "b", "c"]));
        assert_eq!(bad[0], "a");
        assert!(bad[1].starts_with("class number 3, but 3 classes are named | numbers count from 0"));
        assert_eq!(
            from_labels(&names(&["1", "x"]), None).names,
            ["1", "x"],
            "one name makes all of them names"
        );
        assert_eq!(from_labels(&names(&["007", "7"]), None).names, ["007", "7"]);
        assert_eq!(
            resolved(&numbers(&[7, 9]), Some(&["9", "7"])),
            ["7", "9"],
            "names that look like numbers"
        );
    }

    #[test]
    fn near_names_are_suggested() {
        for (label, expected) in [
            ("Cat", "unknown class `Cat`, known are `cat`, `dog` | did you mean `cat`?"),
            ("cat ", "unknown class `cat `, known are `cat`, `dog` | did you mean `cat`?"),
            ("catt", "unknown class `catt`, known are `cat`, `dog` | did you mean `cat`?"),
            (
                "horse",
                "unknown class `horse`, known are `cat`, `dog` | correct the annotation, or add the class to the list (`ReadOptions::classes`)",
            ),
        ] {
            assert_eq!(resolved(&names(&[label]), Some(&["cat", "dog"])), [expected]);
        }
    }

    #[test]
    fn slips_are_found_without_a_list() {
        let resolved = resolved(&names(&["cat", "cat", "Cat", "dog ", "dog"]), None);
        assert_eq!(resolved[0], "cat");
        assert_eq!(
            resolved[2],
            "class `Cat`, but 2 objects of `cat` | did you mean `cat`? If it is a separate class, list the classes \
             (`ReadOptions::classes`)"
        );
        assert!(resolved[3].starts_with("class `dog ` begins or ends with a blank"), "{resolved:?}");
        assert_eq!(resolved[4], "dog");
        let own = from_labels(&names(&["cat", "Cat"]), Some(&["Cat", "cat"]));
        assert_eq!(own.names, ["Cat", "cat"], "listed names are all right");
    }

    #[test]
    fn unused_classes_go() {
        let labels = names(&["a", "b", "c"]);
        let mut classes = from_labels(&labels, None);
        classes.keep(&[true, false, true]);
        assert_eq!(classes.names, ["a", "c"]);
        assert_eq!(classes.index(&labels[2]), Ok(1));
        assert!(classes.index(&labels[1]).is_err());
    }

    #[test]
    fn a_column_of_something_else_is_no_class_column() {
        let ids = |n: u32| (0..n).map(|i| Label::Name(format!("img-{i:06}"))).collect::<Vec<_>>();
        let message = |labels: &[Label]| match Classes::from_labels(labels.iter(), None, &[]) {
            Err(error) => error.to_string(),
            Ok(_) => "taken".into(),
        };
        let text = message(&ids(100_000));
        for part in [
            "100000 different classes in 100000 objects: `img-000000`, `img-000001`",
            "is this the class column?",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        assert!(message(&numbers(&(0..30).collect::<Vec<_>>())).contains("30 different classes"));
        // Few may each stand there once; many, twice.
        assert_eq!(message(&ids(20)), "taken");
        assert_eq!(message(&[ids(21), ids(21)].concat()), "taken");
        assert!(message(&[ids(10_001), ids(10_001)].concat()).contains("10001 different classes"));
    }

    /// Sizes at which a step for each pair of labels would take minutes.
    #[test]
    fn a_hundred_thousand_labels_are_settled_at_once() {
        let names: Vec<String> = (0..100_000).map(|i| format!("breed {i:06}")).collect();
        let labels: Vec<Label> = names.iter().map(|n| Label::Name(n.clone())).collect();
        let mut classes = Classes::from_labels(labels.iter(), Some(&names), &[]).unwrap();
        assert_eq!(classes.index(&labels[77_777]), Ok(77_777));
        let used: Vec<bool> = (0..names.len()).map(|i| i % 2 == 1).collect();
        classes.keep(&used);
        assert_eq!((classes.names.len(), classes.index(&labels[77_777])), (50_000, Ok(38_888)));
        // Not one of them is known: the first get a suggestion.
        let unknown: Vec<Label> = (0..100_000).map(|i| Label::Name(format!("breed {i:06}x"))).collect();
        let classes = Classes::from_labels(unknown.iter(), Some(&names[..1000]), &[]).unwrap();
        let hint = |label| classes.index(label).unwrap_err().hint.unwrap();
        assert_eq!(hint(&unknown[5]).to_string(), "did you mean `breed 000005`?");
        assert!(hint(&unknown[99_999]).remedy == Some(Remedy::ListClasses));
    }

    #[test]
    fn bad_lists_are_refused() {
        for list in [vec![], vec!["a", "a"], vec!["a", " "], vec![""], vec!["a", " a"]] {
            let list: Vec<String> = list.into_iter().map(str::to_owned).collect();
            assert!(Classes::from_labels([].iter(), Some(&list), &[]).is_err(), "{list:?}");
        }
    }

    #[test]
    fn blanks_around_listed_names_are_no_part_of_them() {
        assert_eq!(from_labels(&names(&["dog", "cat"]), Some(&["cat", " dog\t"])).names, ["cat", "dog"]);
        assert_eq!(resolved(&names(&["dog"]), Some(&["cat", " dog"])), ["dog"]);
        assert_eq!(resolved(&numbers(&[0, 1]), Some(&["cat", " dog"])), ["cat", "dog"]);
    }
}

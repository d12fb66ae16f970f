//! Labels to classes.

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
    assert_eq!(from_labels(&names(&["1", "x"]), None).names, ["1", "x"], "one name makes all of them names");
    assert_eq!(from_labels(&names(&["007", "7"]), None).names, ["007", "7"]);
    assert_eq!(resolved(&numbers(&[7, 9]), Some(&["9", "7"])), ["7", "9"], "names that look like numbers");
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

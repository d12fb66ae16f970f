//! Checks the table of faults in docs/reliability.md: no row is missing, and the named tests exist.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

use std::path::Path;

use fs_err as fs;

/// Faults of features that loc does not have yet: COCO, the report, the server, MPI.
const LATER: [usize; 5] = [60, 66, 69, 70, 72];

#[test]
fn every_fault_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut numbers = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(Ok(number)) = cells.get(1).map(|cell| cell.parse::<usize>()) else { continue };
        numbers.push(number);
        let tests = cells[3];
        assert_eq!(tests == "later", LATER.contains(&number), "row {number}: {tests}");
        for test in tests.split("<br>").filter(|_| tests != "later") {
            let (file, name) = test.trim_matches('`').split_once("::").unwrap();
            let source = fs::read_to_string(root.join(file)).unwrap();
            let function = format!("fn {name}(");
            let at = source.find(&function).unwrap_or_else(|| panic!("row {number}: no {name} in {file}"));
            let before: Vec<&str> = source[..at].lines().rev().take(4).collect();
            assert!(before.iter().any(|line| line.trim() == "#[test]"), "row {number}: {name} is not a test");
        }
    }
    assert_eq!(numbers, (1..=138).collect::<Vec<_>>(), "every fault once, in order");
}

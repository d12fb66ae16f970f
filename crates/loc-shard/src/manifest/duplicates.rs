//! Finds a path that is listed twice, in memory that does not grow with the list: hashes of the lines are compared, a part of
//! them in each pass over the list.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead};

use super::Lines;

/// Hashes in memory at once: 512 MiB.
const MAX_HASHES: u64 = 1 << 26;

/// The first line that is equal to an earlier one, with its number from 1; `None` if all differ. `open` reads the list, of `count`
/// lines, from its beginning.
///
/// # Errors
///
/// The list cannot be read.
pub(crate) fn find<R: BufRead>(
    count: u64,
    open: impl Fn() -> io::Result<Lines<R>>,
) -> io::Result<Option<(u64, String)>> {
    find_in_passes(count.div_ceil(MAX_HASHES).max(1), open)
}

fn find_in_passes<R: BufRead>(
    passes: u64,
    open: impl Fn() -> io::Result<Lines<R>>,
) -> io::Result<Option<(u64, String)>> {
    // Lines whose hashes are equal: copies, and, of a thousand million lines, hardly ever others.
    let mut suspects = HashSet::new();
    for pass in 0..passes {
        let (mut lines, mut hashes) = (open()?, Vec::new());
        while let Some(line) = lines.next_line()? {
            let hash = hash_of(line);
            if hash % passes == pass {
                hashes.push(hash);
            }
        }
        hashes.sort_unstable();
        suspects.extend(hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]));
    }
    if suspects.is_empty() {
        return Ok(None);
    }
    let (mut lines, mut seen, mut number) = (open()?, HashSet::new(), 0);
    while let Some(line) = lines.next_line()? {
        number += 1;
        if suspects.contains(&hash_of(line)) && !seen.insert(line.to_owned()) {
            return Ok(Some((number, line.to_owned())));
        }
    }
    Ok(None)
}

fn hash_of(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_listed_twice_is_found_in_any_number_of_passes() {
        let list: String = (0..500).map(|i| format!("{i}.jpg\n")).collect();
        let twice = format!("{list}new.jpg\n321.jpg\n");
        for passes in [1, 2, 7] {
            let find = |list: &str| find_in_passes(passes, || Ok(Lines::new(list.as_bytes()))).unwrap();
            assert_eq!(find(&list), None);
            assert_eq!(find(&twice), Some((502, "321.jpg".into())));
        }
    }
}

//! Finds a path that is listed twice, in memory that does not grow with the list: hashes of the lines are compared, a part of
//! them in each pass over the list.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// Hashes in memory at once: 512 MiB.
const MAX_HASHES: u64 = 1 << 26;

/// The first path that was found twice; `None` if all differ. `each` calls the function with each of the `lines` lines.
///
/// # Errors
///
/// Those of `each`.
pub(crate) fn find(
    lines: u64,
    each: impl Fn(&mut dyn FnMut(&str)) -> io::Result<()>,
) -> io::Result<Option<String>> {
    find_in_passes(lines.div_ceil(MAX_HASHES).max(1), each)
}

fn find_in_passes(
    passes: u64,
    each: impl Fn(&mut dyn FnMut(&str)) -> io::Result<()>,
) -> io::Result<Option<String>> {
    // Lines whose hashes are equal: copies, and, of a thousand million lines, hardly ever others.
    let mut suspects = HashSet::new();
    for pass in 0..passes {
        let mut hashes = Vec::new();
        each(&mut |line| {
            let hash = hash_of(line);
            if hash % passes == pass {
                hashes.push(hash);
            }
        })?;
        hashes.sort_unstable();
        suspects.extend(hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]));
    }
    if suspects.is_empty() {
        return Ok(None);
    }
    let (mut seen, mut twice) = (HashSet::new(), None);
    each(&mut |line| {
        if twice.is_none() && suspects.contains(&hash_of(line)) && !seen.insert(line.to_owned()) {
            twice = Some(line.to_owned());
        }
    })?;
    Ok(twice)
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
        let names: Vec<String> = (0..500).map(|i| format!("{i}.jpg")).collect();
        let mut twice = names.clone();
        twice.push("321.jpg".into());
        for passes in [1, 2, 7] {
            let find = |names: &[String]| {
                find_in_passes(passes, |f| {
                    names.iter().for_each(|name| f(name));
                    Ok(())
                })
            };
            assert_eq!(find(&names).unwrap(), None);
            assert_eq!(find(&twice).unwrap().as_deref(), Some("321.jpg"));
        }
    }
}

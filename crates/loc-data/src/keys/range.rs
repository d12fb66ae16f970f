//! The numbers that a key takes.

use std::fmt;

use super::KeyError;

/// An interval of numbers, its ends included or not. NaN lies in none, infinity in none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: Option<End>,
    high: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct End {
    at: f64,
    included: bool,
}

const fn included(at: f64) -> Option<End> {
    Some(End { at, included: true })
}

const fn excluded(at: f64) -> Option<End> {
    Some(End { at, included: false })
}

impl Range {
    /// Above `low`.
    #[must_use]
    pub const fn above(low: f64) -> Self {
        Self { low: excluded(low), high: None }
    }

    /// `low` or more.
    #[must_use]
    pub const fn at_least(low: f64) -> Self {
        Self { low: included(low), high: None }
    }

    /// `low` to `high`.
    #[must_use]
    pub const fn from_to(low: f64, high: f64) -> Self {
        Self { low: included(low), high: included(high) }
    }

    /// `low` or more, below `high`.
    #[must_use]
    pub const fn from_below(low: f64, high: f64) -> Self {
        Self { low: included(low), high: excluded(high) }
    }

    /// Above `low`, below `high`.
    #[must_use]
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low: excluded(low), high: excluded(high) }
    }

    /// Above `low`, at most `high`.
    #[must_use]
    pub const fn above_up_to(low: f64, high: f64) -> Self {
        Self { low: excluded(low), high: included(high) }
    }

    /// Whether a number lies in it.
    #[must_use]
    pub fn contains(&self, number: f64) -> bool {
        let low = self.low.is_none_or(|end| number > end.at || end.included && number == end.at);
        let high = self.high.is_none_or(|end| number < end.at || end.included && number == end.at);
        number.is_finite() && low && high
    }

    /// Checks all numbers of a key's value.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for the first that lies outside.
    pub fn check(&self, key: &str, value: &impl Numbers) -> Result<(), KeyError> {
        match value.numbers().into_iter().find(|(number, _)| !self.contains(*number)) {
            None => Ok(()),
            Some((_, value)) => {
                Err(KeyError { key: key.to_owned(), value, allowed: format!("it must be {self}") })
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low.included && high.included => {
                write!(f, "{} to {}", low.at, high.at)
            }
            (Some(low), Some(high)) if !low.included && !high.included => {
                write!(f, "above {} and below {}", low.at, high.at)
            }
            (low, high) => {
                match low {
                    Some(End { at, included: true }) => write!(f, "{at} or more")?,
                    Some(End { at, .. }) => write!(f, "above {at}")?,
                    None => {}
                }
                match high {
                    Some(End { at, included: true }) => write!(f, ", at most {at}"),
                    Some(End { at, .. }) => write!(f, ", below {at}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A value whose numbers can be checked, one by one.
pub trait Numbers {
    /// The numbers, each also as it is written.
    fn numbers(&self) -> Vec<(f64, String)>;
}

macro_rules! numbers {
    ($($ty:ty),+) => {$(
        impl Numbers for $ty {
            fn numbers(&self) -> Vec<(f64, String)> {
                #[allow(
                    clippy::allow_attributes,
                    clippy::cast_precision_loss,
                    clippy::cast_lossless,
                    trivial_numeric_casts,
                    reason = "no bound is beyond what f64 holds exactly"
                )]
                let number = *self as f64;
                vec![(number, self.to_string())]
            }
        }
    )+};
}

numbers!(f32, f64, u32, u64, usize);

impl<T: Numbers> Numbers for Vec<T> {
    fn numbers(&self) -> Vec<(f64, String)> {
        self.iter().flat_map(Numbers::numbers).collect()
    }
}

impl<T: Numbers, const N: usize> Numbers for [T; N] {
    fn numbers(&self) -> Vec<(f64, String)> {
        self.iter().flat_map(Numbers::numbers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn ends_belong_or_not_as_the_words_say() {
        for (range, words, inside, outside) in [
            (Range::above(0.0), "above 0", vec![1e-300, 1e300], vec![0.0, -1.0, f64::NAN, f64::INFINITY]),
            (Range::at_least(1.0), "1 or more", vec![1.0, 7.0], vec![0.0, 0.999]),
            (Range::from_to(0.1, 10.0), "0.1 to 10", vec![0.1, 10.0], vec![0.0999, 10.1]),
            (Range::from_below(0.0, 1.0), "0 or more, below 1", vec![0.0, 0.999], vec![-0.1, 1.0]),
            (Range::between(0.0, 1.0), "above 0 and below 1", vec![0.5], vec![0.0, 1.0]),
            (Range::above_up_to(0.0, 1.0), "above 0, at most 1", vec![0.5, 1.0], vec![0.0, 1.1]),
        ] {
            assert_eq!(range.to_string(), words);
            assert!(inside.iter().all(|n| range.contains(*n)), "{words}: {inside:?}");
            assert!(!outside.iter().any(|n| range.contains(*n)), "{words}: {outside:?}");
        }
    }
}

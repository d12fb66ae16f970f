//! Configuration keys that are declared once: name, type, default, range and doc, from which [`keys!`](crate::keys!)
//! makes the struct, its defaults, its checks and its reference.
//!
//! Where values come from (files, environment, command line) is not known here.

mod kind;
mod range;

pub use self::kind::Kind;
pub use self::range::{Numbers, Range};

/// A key as it is declared.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Key {
    /// Its name, as in TOML.
    pub name: &'static str,
    /// The lines of its doc; an empty line ends the summary.
    pub doc: &'static [&'static str],
    /// Returns the kind of its values.
    pub kind: fn() -> Kind,
    /// What its numbers may be.
    pub range: Option<Range>,
    /// The texts that it takes, if not any.
    pub texts: &'static [&'static str],
    /// Its values in words, where kind, range and texts do not say it.
    pub takes: &'static str,
    /// What holds where it has no value.
    pub absent: &'static str,
    /// The name of its value in the help of its own flag; empty if it has no flag.
    pub flag: &'static str,
    /// Its name in the release before, which is still read.
    pub old_name: Option<&'static str>,
    /// Whether it decides what a training computes.
    pub affects_result: bool,
    /// Whether the release before did not have it, under any name.
    pub is_new: bool,
    /// Whether it is read and is no setting.
    pub is_hidden: bool,
    /// The keys of its table.
    pub table: &'static [Self],
}

impl Key {
    /// A key without anything but a name, a doc and a kind.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static [&'static str], kind: fn() -> Kind) -> Self {
        Self {
            name,
            doc,
            kind,
            range: None,
            texts: &[],
            takes: "",
            absent: "none",
            flag: "",
            old_name: None,
            affects_result: true,
            is_new: false,
            is_hidden: false,
            table: &[],
        }
    }

    /// Sets the range of its numbers.
    #[must_use]
    pub const fn range(self, range: Range) -> Self {
        Self { range: Some(range), ..self }
    }

    /// Sets the texts that it takes.
    #[must_use]
    pub const fn one_of(self, texts: &'static [&'static str]) -> Self {
        Self { texts, ..self }
    }

    /// Says in words what it takes.
    #[must_use]
    pub const fn takes(self, takes: &'static str) -> Self {
        Self { takes, ..self }
    }

    /// Says what holds where it has no value.
    #[must_use]
    pub const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }

    /// Gives it a flag of its own.
    #[must_use]
    pub const fn flag(self, value_name: &'static str) -> Self {
        Self { flag: value_name, ..self }
    }

    /// Has it read under its name in the release before, too.
    #[must_use]
    pub const fn was(self, old_name: &'static str) -> Self {
        Self { old_name: Some(old_name), ..self }
    }

    /// Says that a training computes the same whatever its value.
    #[must_use]
    pub const fn no_effect(self) -> Self {
        Self { affects_result: false, ..self }
    }

    /// Says that the release before did not have it.
    #[must_use]
    pub const fn added(self) -> Self {
        Self { is_new: true, ..self }
    }

    /// Leaves it out of the list of keys.
    #[must_use]
    pub const fn hidden(self) -> Self {
        Self { is_hidden: true, ..self }
    }

    /// Gives it the keys of a table.
    #[must_use]
    pub const fn table(self, table: &'static [Self]) -> Self {
        Self { table, ..self }
    }

    /// The first paragraph of the doc, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        paragraph(self.doc.iter().take_while(|line| !line.trim().is_empty()))
    }

    /// The whole doc, in one line.
    #[must_use]
    pub fn text(&self) -> String {
        paragraph(self.doc.iter().filter(|line| !line.trim().is_empty()))
    }

    /// The values that it takes, in words: `a number above 0`, or the texts in backticks.
    #[must_use]
    pub fn values(&self) -> String {
        if !self.takes.is_empty() {
            return self.takes.to_owned();
        }
        let kind = (self.kind)();
        let texts = if self.texts.is_empty() { kind.variants() } else { self.texts };
        match (texts, self.range) {
            ([], Some(range)) => format!("{kind}, {range}"),
            ([], None) => kind.to_string(),
            (texts, _) => texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", "),
        }
    }

    /// Checks a text against those that the key takes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with the texts.
    pub fn check_text(&self, text: &str) -> Result<(), KeyError> {
        if self.texts.is_empty() || self.texts.contains(&text) {
            return Ok(());
        }
        let allowed = format!("the values are {}", self.values());
        Err(KeyError { key: self.name.into(), value: text.into(), allowed })
    }
}

fn paragraph<'a>(lines: impl Iterator<Item = &'a &'static str>) -> String {
    lines.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A value that a key does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}: {allowed}")]
pub struct KeyError {
    /// The key's name.
    pub key: String,
    /// The value.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

/// Declares a struct of keys. A key is
///
/// ```text
/// /// Its doc.
/// name was "old_name": Type = default, range(bounds) => property(…), property(…);
/// ```
///
/// where the old name, the range ([`keys::Range`](crate::keys::Range)) and the properties (the methods of
/// [`keys::Key`](crate::keys::Key)) may be missing. The struct gets its fields, [`Default`], serde's traits (a missing key
/// is its default, an unknown one an error, an old name the new one), `KEYS`, and `check_ranges`.
#[macro_export]
macro_rules! keys {
    (
        $(#[$about:meta])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)*)])?
                $key:ident $(was $old:tt)?: $ty:ty = $default:expr $(, $range:ident($($bound:expr),*))?
                    $(=> $($property:ident($($argument:expr),*)),+)?;
            )+
        }
    ) => {
        $(#[$about])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)*)])?
                $(#[serde(alias = $old)])?
                pub $key: $ty,
            )+
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $name {
            /// The keys in their order.
            pub const KEYS: &'static [$crate::keys::Key] = &[
                $(
                    $crate::keys::Key::new(stringify!($key), &[$($doc),+], $crate::keys::Kind::of::<$ty>)
                        $(.was($old))?
                        $(.range($crate::keys::Range::$range($($bound),*)))?
                        $($(.$property($($argument),*))+)?,
                )+
            ];

            /// Checks that each number is in its key's range.
            ///
            /// # Errors
            ///
            /// An error for the first that is not.
            pub fn check_ranges(&self) -> Result<(), $crate::keys::KeyError> {
                $($(
                    $crate::keys::Range::$range($($bound),*).check(stringify!($key), &self.$key)?;
                )?)+
                Ok(())
            }
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares for other crates")]
mod tests {
    crate::keys! {
        /// Some keys.
        pub struct Some {
            /// How fast.
            /// At all.
            ///
            /// And more of it.
            speed was "pace": f64 = 0.5, above_up_to(0.0, 1.0) => flag("X");
            /// How many.
            counts: Vec<usize> = vec![1], at_least(1.0);
            /// Which.
            which: Option<String> = None => one_of(&["left", "right"]), absent("left"), no_effect();
        }
    }

    #[test]
    fn a_declaration_is_struct_defaults_checks_and_reference() {
        let default = Some::default();
        assert_eq!((default.speed, &*default.counts, &default.which), (0.5, &[1][..], &None));
        let [speed, counts, which] = Some::KEYS else { panic!("three keys") };
        assert_eq!(
            (speed.name, &*speed.summary(), speed.old_name),
            ("speed", "How fast. At all.", Some("pace"))
        );
        assert_eq!(speed.text(), "How fast. At all. And more of it.");
        assert_eq!(speed.values(), "a number, above 0, at most 1");
        assert_eq!(counts.values(), "a list of whole numbers, 1 or more");
        assert_eq!((which.values(), which.affects_result), ("`left`, `right`".into(), false));
        default.check_ranges().unwrap();
        let wrong = |some: Some| some.check_ranges().unwrap_err().to_string();
        assert_eq!(
            wrong(Some { speed: f64::NAN, ..default.clone() }),
            "speed is NaN: it must be above 0, at most 1"
        );
        assert_eq!(wrong(Some { counts: vec![2, 0], ..default }), "counts is 0: it must be 1 or more");
        let error = which.check_text("up").unwrap_err().to_string();
        assert_eq!(error, "which is up: the values are `left`, `right`");
    }
}

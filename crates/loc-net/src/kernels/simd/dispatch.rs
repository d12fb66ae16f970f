//! The choice of an instruction set.

use std::fmt;
use std::sync::OnceLock;

use super::portable::Portable;
use super::{Isa, Kernel};
use crate::error::IsaError;

/// An instruction set that this processor has.
#[derive(Clone, Copy)]
pub struct Level(Set);

/// The sets, one row each: name, condition, value.
macro_rules! sets {
    ($($(#[$cfg:meta])* $set:ident = $name:literal, $type:ty, $new:expr;)+) => {
        #[derive(Clone, Copy)]
        enum Set {
            $($(#[$cfg])* $set($type),)+
        }

        impl Level {
            /// Returns the sets that this processor has, the best first.
            #[must_use]
            pub fn available() -> Vec<Self> {
                let mut all = Vec::new();
                $($(#[$cfg])* { all.extend($new.map(Set::$set).map(Self)); })+
                all
            }

            /// Returns the name, as `LOC_ISA` takes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($(#[$cfg])* Set::$set(_) => $name,)+
                }
            }

            /// Returns the number of f32 in a vector.
            #[must_use]
            pub fn lanes(self) -> usize {
                match self.0 {
                    $($(#[$cfg])* Set::$set(_) => <$type>::LANES,)+
                }
            }

            /// Runs a kernel.
            #[inline]
            pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
                match self.0 {
                    $($(#[$cfg])* Set::$set(isa) => isa.run(kernel),)+
                }
            }
        }
    };
}

sets! {
    #[cfg(target_arch = "x86_64")]
    Avx512 = "avx512", super::x86_64::Avx512, super::x86_64::Avx512::new();
    #[cfg(target_arch = "x86_64")]
    Avx2 = "avx2", super::x86_64::Avx2, super::x86_64::Avx2::new();
    #[cfg(target_arch = "aarch64")]
    Neon = "neon", super::neon::Neon, super::neon::Neon::new();
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128 = "simd128", super::simd128::Simd128, Some(super::simd128::Simd128);
    Portable = "portable", Portable, Some(Portable);
}

impl Level {
    /// Returns the set of this process: the best one, or the one that the environment variable `LOC_ISA` names. The
    /// variable is read once; if it names no set of this processor, the best one is used ([`Level::requested`] tells).
    #[must_use]
    pub fn current() -> Self {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::requested().unwrap_or_else(|_| Self::available()[0]))
    }

    /// Returns the best of this and the other sets whose vectors have at most `lanes` f32, or `None` if there is none.
    #[must_use]
    pub fn at_most(self, lanes: usize) -> Option<Self> {
        std::iter::once(self).chain(Self::available()).find(|level| level.lanes() <= lanes)
    }

    /// Returns the set that `LOC_ISA` names, or the best one if the variable is not set or empty.
    ///
    /// # Errors
    ///
    /// If it names no set of this processor.
    pub fn requested() -> Result<Self, IsaError> {
        let available = Self::available();
        match std::env::var_os("LOC_ISA") {
            Some(name) if !name.is_empty() => {
                let found = available.iter().find(|level| *level.name() == name).copied();
                found.ok_or_else(|| IsaError {
                    name: name.to_string_lossy().into_owned(),
                    available: available.iter().map(|level| level.name()).collect(),
                })
            }
            _ => Ok(available[0]),
        }
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Level {}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

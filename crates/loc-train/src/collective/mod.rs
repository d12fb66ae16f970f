//! Training on several processes: the messages between them, and which photos of a batch each computes.
//!
//! Every process runs the same training with the same configuration on the same data set. Of each batch it computes only its
//! share ([`Share`]); the outputs of the network are exchanged, so all processes know the losses and the answers to all
//! photos; the gradients are added in the fixed tree of [`loc_net::Parts`]. So 1, 2, 4 and 8 processes write the same bytes.
//! Only the first process writes files.

#[cfg(feature = "mpi")]
mod mpi;
mod processes;
mod share;
mod sum;

use std::fmt::Debug;

#[cfg(feature = "mpi")]
pub use self::mpi::{Mpi, MpiSession};
pub use self::processes::Processes;
pub(crate) use self::share::Share;

/// The messages between the processes of a training. All processes call the same functions in the same order, each on one
/// thread at a time. If another process ends without having been waited for, an implementation ends this one, too.
pub trait Collective: Debug + Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Sends bytes to all processes, and returns those of each, this one included, in the order of their ranks.
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Sends values to another process, and receives its values; it fills `theirs`.
    fn exchange(&self, partner: usize, own: &[f32], theirs: &mut [f32]);
}

/// A single process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Collective for Local {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }

    fn exchange(&self, _partner: usize, _own: &[f32], _theirs: &mut [f32]) {
        unreachable!("a single process has no partner")
    }
}

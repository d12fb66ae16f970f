//! Messages through MPI: `mpirun` or `srun` starts the processes.

use std::mem::ManuallyDrop;

use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::point_to_point::send_receive_into;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::Collective;

/// The processes that one launcher has started.
#[derive(Debug, Clone, Copy)]
pub struct Mpi {
    rank: usize,
    size: usize,
}

/// The connection to the other processes. A process that ends without [`MpiSession::close`] has failed: the launcher then ends
/// the others, also those that wait for it.
pub struct MpiSession(ManuallyDrop<Universe>);

impl Mpi {
    /// Connects to the other processes; none if that was done before.
    #[must_use]
    pub fn start() -> Option<(Self, MpiSession)> {
        // One thread at a time sends messages, not always the same one.
        let (universe, _) = mpi::initialize_with_threading(Threading::Serialized)?;
        let world = universe.world();
        let number = |number| usize::try_from(number).unwrap_or(0);
        let this = Self { rank: number(world.rank()), size: number(world.size()).max(1) };
        Some((this, MpiSession(ManuallyDrop::new(universe))))
    }

    /// The name of the host.
    #[must_use]
    pub fn host(&self) -> String {
        mpi::environment::processor_name().unwrap_or_default()
    }
}

impl MpiSession {
    /// Waits until all other processes do the same, and ends the connection.
    pub fn close(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }
}

/// The numbers of MPI are `int`.
fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Values in one message, at most.
const CHUNK: usize = 1 << 26;

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let world = SimpleCommunicator::world();
        let mut lens = vec![0_u64; self.size];
        world.all_gather_into(&(own.len() as u64), &mut lens[..]);
        let lens: Vec<usize> = lens.into_iter().map(|len| usize::try_from(len).unwrap_or(0)).collect();
        let mut all: Vec<Vec<u8>> = lens.iter().map(|len| Vec::with_capacity(*len)).collect();
        // In rounds, because counts are `int`.
        let round = CHUNK / self.size;
        for first in (0..lens.iter().copied().max().unwrap_or(0)).step_by(round) {
            let part = |len: usize| first.min(len)..(first + round).min(len);
            let counts: Vec<i32> = lens.iter().map(|len| int(part(*len).len())).collect();
            let starts: Vec<i32> = counts
                .iter()
                .scan(0, |end, count| {
                    *end += count;
                    Some(*end - count)
                })
                .collect();
            let mut buffer =
                vec![0_u8; counts.iter().map(|count| usize::try_from(*count).unwrap_or(0)).sum()];
            let mut target = PartitionMut::new(&mut buffer[..], counts.clone(), &starts[..]);
            world.all_gather_varcount_into(&own[part(own.len())], &mut target);
            let mut rest = &buffer[..];
            for (all, count) in all.iter_mut().zip(counts) {
                let (own, others) = rest.split_at(usize::try_from(count).unwrap_or(0));
                all.extend_from_slice(own);
                rest = others;
            }
        }
        all
    }

    fn exchange(&self, partner: usize, own: &[f32], theirs: &mut [f32]) {
        let world = SimpleCommunicator::world();
        let partner = world.process_at_rank(int(partner));
        let rounds = own.len().max(theirs.len()).div_ceil(CHUNK);
        let (mut own, mut theirs) = (own.chunks(CHUNK), theirs.chunks_mut(CHUNK));
        for _ in 0..rounds {
            let theirs = theirs.next().unwrap_or_default();
            send_receive_into(own.next().unwrap_or_default(), &partner, theirs, &partner);
        }
    }
}

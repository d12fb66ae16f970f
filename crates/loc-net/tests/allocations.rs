//! Tests memory use in the steady state: training passes and predictions reuse their buffers and allocate almost
//! nothing, and the buffers of many simultaneous callers are freed.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use loc_net::exec::fused::FusedPlan;
use loc_net::exec::{Conditions, Images, Training, TrainingSetup};
use loc_net::kernels::parts::Parts;
use loc_net::parallel::Threads;
use loc_net::{Forward, ImageBatch, InputShape, Network, NetworkConfig, Normalization, Weight, Weights};

/// The system's allocator, with counters of the allocated and the freed bytes.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "the trait is unsafe; every call is the system's")]
// SAFETY: every call is forwarded unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of bytes that `f` allocates.
fn allocated(f: impl FnOnce()) -> usize {
    let before = BYTES.load(Ordering::Relaxed);
    f();
    BYTES.load(Ordering::Relaxed) - before
}

/// Returns the number of bytes in use.
fn bytes_in_use() -> usize {
    BYTES.load(Ordering::Relaxed) - FREED.load(Ordering::Relaxed)
}

/// Limit for lists of tasks and for rayon itself; the smallest map of a photo has 27 KB.
const LIMIT: usize = 24 << 10;
const N: usize = 9;

fn network() -> Network {
    let config = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2);
    config.build(&Normalization::IDENTITY).unwrap()
}

fn weights(network: &Network) -> Weights {
    let values = |len: usize| (0..len).map(|i| (i % 7) as f32 * 0.01 - 0.03).collect();
    let param = |p: &loc_net::Param| {
        (p.name.clone(), Weight { shape: p.shape.clone(), data: values(p.shape.iter().product()) })
    };
    Weights(network.params().iter().map(param).collect())
}

// A single test, because the allocations of other tests in the same process would be counted, too.
#[test]
fn training_and_prediction_reuse_their_buffers() {
    let network = network();
    let all = weights(&network);
    let photos: Vec<u8> = (0..N * 3 * 256 * 256).map(|i| (i * 31 % 251) as u8).collect();
    // Without fused blocks, the general kernels allocate some buffers on each call.
    let fused = FusedPlan::of(&network, true).is_some();
    {
        let params: Vec<&[f32]> = network.params().iter().map(|param| all.values(&param.name)).collect();
        let outputs = vec![network.logits(), network.boxes()];
        let setup = TrainingSetup { from_features: false, frozen_backbone: false, outputs };
        let mut training = Training::new(&network, setup);
        let mut y = vec![0.5; N * training.out_len()];
        let (gy, mut gradient) = (y.clone(), vec![0.0; network.parameter_count()]);
        let images = Images::Photos(ImageBatch::Bytes(&photos));
        let mut step = || {
            training.forward(images, N, &params, Conditions::default(), &mut y);
            training.backward(images, &params, &Parts::of(N), &gy, &mut gradient);
        };
        let first = allocated(&mut step);
        // Which thread takes which task is random, and each thread keeps its own buffers: a few rounds until all have
        // them.
        (0..4).for_each(|_| step());
        let later = (0..3).map(|_| allocated(&mut step)).min().unwrap();
        assert!(first > 8 << 20, "the first pass allocates its buffers: {first} bytes");
        assert!(later < LIMIT || !fused, "a later pass allocates {later} bytes");
    }
    let forward = Forward::new(network, all).unwrap();
    for n in [1, N] {
        let photos = &photos[..n * 3 * 256 * 256];
        let run = || drop(forward.run(ImageBatch::Bytes(photos), n).unwrap());
        (0..5).for_each(|_| run());
        let later = (0..3).map(|_| allocated(run)).min().unwrap();
        assert!(later < LIMIT || !fused, "a later prediction of {n} photos allocates {later} bytes");
    }

    // Each of the simultaneous callers has its own buffers while all run. Afterwards no more remain than can be in use
    // at once: two sets per thread, each for one photo. A caller on one thread, where a photo is not split, leaves one set.
    const BURST: usize = 64;
    let network = self::network();
    let forward = Forward::new(network.clone(), weights(&network)).unwrap();
    let photo = &photos[..3 * 256 * 256];
    let run = || drop(forward.run(ImageBatch::Bytes(photo), 1).unwrap());
    let one_thread = Threads::new(1).unwrap();
    let before = bytes_in_use();
    one_thread.run(run);
    let one = bytes_in_use() - before;
    let all = Barrier::new(BURST);
    std::thread::scope(|scope| {
        for _ in 0..BURST {
            scope.spawn(|| {
                all.wait();
                (0..3).for_each(|_| run());
            });
        }
    });
    let remaining = bytes_in_use() - before;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let max_sets = 2 * cores.max(rayon::current_num_threads()).min(BURST);
    println!("one caller leaves {one} bytes, {BURST} leave {remaining}, the limit is {max_sets} times");
    // One set more, for memory that the system keeps for threads.
    assert!(
        remaining <= (max_sets + 1) * one,
        "{remaining} bytes are left, one caller leaves {one}, {max_sets} times are allowed"
    );
}

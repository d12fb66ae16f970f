//! The steady state allocates nothing to speak of: buffers of a training pass and of a prediction are used again, and
//! those of a burst of callers do not stay.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use loc_net::exec::fused::FusedPlan;
use loc_net::exec::{Images, Training, TrainingSetup};
use loc_net::kernels::parts::Parts;
use loc_net::{Forward, ImageBatch, InputShape, Network, NetworkConfig, Normalization, Weight, Weights};

/// The system's allocator, which counts the bytes that were asked for and those that were given back.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "the trait is unsafe; every call is the system's")]
// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `f` asks for.
fn allocated(f: impl FnOnce()) -> usize {
    let before = BYTES.load(Ordering::Relaxed);
    f();
    BYTES.load(Ordering::Relaxed) - before
}

/// Bytes in use.
fn held() -> usize {
    BYTES.load(Ordering::Relaxed) - FREED.load(Ordering::Relaxed)
}

/// Lists of tasks and what rayon needs for them; one photo's smallest map is 27 KB.
const LITTLE: usize = 24 << 10;
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

// One test: others beside it would be counted, too.
#[test]
fn passes_and_predictions_use_their_buffers_again() {
    let network = network();
    let all = weights(&network);
    let photos: Vec<u8> = (0..N * 3 * 256 * 256).map(|i| (i * 31 % 251) as u8).collect();
    // Where no fused blocks are, the general kernels keep some buffers a call.
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
            training.forward(images, N, &params, None, &mut y);
            training.backward(images, &params, &Parts::of(N), &gy, &mut gradient);
        };
        let first = allocated(&mut step);
        // Which thread takes which task is chance, and each keeps buffers of its own: some rounds until all have them.
        (0..4).for_each(|_| step());
        let later = (0..3).map(|_| allocated(&mut step)).min().unwrap();
        assert!(first > 8 << 20, "the first pass makes its buffers: {first} bytes");
        assert!(later < LITTLE || !fused, "a later pass asks for {later} bytes");
    }
    let forward = Forward::new(network, all).unwrap();
    for n in [1, N] {
        let photos = &photos[..n * 3 * 256 * 256];
        let run = || drop(forward.run(ImageBatch::Bytes(photos), n).unwrap());
        (0..5).for_each(|_| run());
        let later = (0..3).map(|_| allocated(run)).min().unwrap();
        assert!(later < LITTLE || !fused, "a later prediction of {n} asks for {later} bytes");
    }

    // Each of the burst has buffers of its own while all run; then no more are left than can be in use at once: two sets a
    // thread, of one photo each. One caller alone leaves at least one set.
    const BURST: usize = 64;
    let network = self::network();
    let forward = Forward::new(network.clone(), weights(&network)).unwrap();
    let photo = &photos[..3 * 256 * 256];
    let run = || drop(forward.run(ImageBatch::Bytes(photo), 1).unwrap());
    let before = held();
    run();
    let one = held() - before;
    let all = Barrier::new(BURST);
    std::thread::scope(|scope| {
        for _ in 0..BURST {
            scope.spawn(|| {
                all.wait();
                (0..3).for_each(|_| run());
            });
        }
    });
    let left = held() - before;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = 2 * cores.max(rayon::current_num_threads()).min(BURST);
    println!("one caller leaves {one} bytes, {BURST} leave {left}, the limit is {most} times");
    // And once more for what the system keeps for threads.
    assert!(
        left <= (most + 1) * one,
        "{left} bytes are left, one caller leaves {one}, {most} times are allowed"
    );
}

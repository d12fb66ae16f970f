//! The part of `cargo xtask peers` that measures loc, in a separate process.
//!
//! `peer prepare DIR DATA` writes the inputs of all peers: 32 photos, one JPEG, the list of all photos, a table, a
//! split, a model with Lite0. `peer expect DIR` writes the outputs of the model in that folder for the first photos; the other peers are
//! checked against them. `peer run` prints the tasks that it supports, then responds to each line `TASK COUNT` with the
//! wall times of COUNT runs in milliseconds; PEERS_DIR is the folder.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that fails must stop, and it prints its results"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{Device, Tensor};
use loc_data::{Dataset, LabelledObject, Loader, ReadOptions, split};
use loc_infer::postprocess::softmax;
use loc_infer::{ImageSize, InputSpec, Localizer, ModelMeta};
use loc_model::loss::{LossConfig, Truth};
use loc_model::{Model, init, weights};
use loc_net::{
    Backbone, Forward, Head, ImageBatch, InputShape, Network, NetworkConfig, Normalization, WeightFile,
    Weights,
};
use loc_train::ModelFile;

const BATCH: usize = 32;
const LEARNING_RATE: f64 = 0.01;
/// The side of Lite0's input.
const LITE0_SIDE: usize = 224;

/// The allocator of the command `loc`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", dir, data] => prepare(Path::new(dir), Path::new(data)),
        ["expect", dir] => expect(Path::new(dir)),
        ["run"] => serve(),
        _ => panic!("peer prepare DIR DATA | peer expect DIR | peer run"),
    }
}

fn dataset(path: &Path) -> Dataset {
    Dataset::open(path, &ReadOptions::default()).unwrap()
}

fn prepare(dir: &Path, data: &Path) {
    let set = dataset(data);
    let stride = set.samples.len() / BATCH;
    let indices: Vec<usize> = (0..BATCH).map(|i| i * stride).collect();
    let loader = Loader::new(&set, &indices, InputSpec::default(), 0).unwrap();
    let batch = loader.in_order(BATCH).next().unwrap().unwrap();
    fs_err::write(dir.join("photos.u8"), batch.images.as_slice().unwrap()).unwrap();
    fs_err::copy(&set.samples[indices[0]].image, dir.join("photo.jpg")).unwrap();
    // The tutorial's table, in pixels of 256×256, and the split that all peers use.
    let mut table = "filename,path,class_num,xmin,ymin,xmax,ymax\n".to_owned();
    for s in &set.samples {
        let (w, h) = (s.size.width as f32 / 256.0, s.size.height as f32 / 256.0);
        let Some(LabelledObject { class, bbox: b }) = s.object else { continue };
        let edges = [b.x1 / w, b.y1 / h, b.x2 / w, b.y2 / h].map(|v| v.to_string()).join(",");
        table += &format!("{},{},{},{edges}\n", s.file, s.image.display(), class);
    }
    fs_err::write(dir.join("dataset.csv"), table).unwrap();
    split::write_csv(&dir.join("split.csv"), &set, &split::stratified(&set, 0.2, 0).unwrap()).unwrap();
    let files: Vec<String> = set.samples.iter().map(|s| s.image.display().to_string()).collect();
    fs_err::write(dir.join("images.txt"), files.join("\n")).unwrap();
    fs_err::write(dir.join("data.txt"), data.display().to_string()).unwrap();
    write_lite0(&dir.join("lite0.safetensors"));
}

/// Writes Lite0 with random weights, since only its speed counts: He's initialisation keeps the activations in a normal range.
fn write_lite0(path: &Path) {
    let side = u32::try_from(LITE0_SIDE).unwrap();
    let spec = InputSpec { size: ImageSize { width: side, height: side }, ..InputSpec::default() };
    let meta = ModelMeta::new(vec!["cat".into(), "dog".into()], spec).unwrap();
    let input = InputShape { height: LITE0_SIDE, width: LITE0_SIDE };
    let file = ModelFile::new(meta, NetworkConfig::new(input, 2, Backbone::Lite0, Head::Edges));
    let initial = init::weights(&file.build().unwrap(), init::Scheme::He, 0);
    let bytes = weights::to_bytes(&initial, Some(&file.to_json().unwrap())).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// Writes loc's outputs for the first photos. The tests of loc-model compare such outputs with PyTorch's.
fn expect(dir: &Path) {
    const PHOTOS: usize = 2;
    let (network, weights) = model(dir);
    let classes = network.classes();
    let forward = Forward::new(network, weights).unwrap();
    let bytes = fs_err::read(dir.join("photos.u8")).unwrap();
    let output = forward.run(ImageBatch::Bytes(&bytes[..PHOTOS * 3 * 256 * 256]), PHOTOS).unwrap();
    let cls: Vec<Vec<f32>> = output.logits.chunks_exact(classes).map(softmax).collect();
    let loc: Vec<&[f32]> = output.boxes.chunks_exact(4).collect();
    fs_err::write(dir.join("expected.json"), serde_json::json!({ "cls": cls, "loc": loc }).to_string())
        .unwrap();
}

/// The tutorial's network for two classes, and the weights in the folder.
fn model(dir: &Path) -> (Network, Weights) {
    let config = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2);
    let file = fs_err::read(dir.join("model.safetensors")).unwrap();
    (config.build(&Normalization::IDENTITY).unwrap(), WeightFile::parse(&file).unwrap().weights)
}

/// Lite0 with a head, and the weights in the folder.
fn lite0(dir: &Path) -> (Network, Weights) {
    let file = WeightFile::parse(&fs_err::read(dir.join("lite0.safetensors")).unwrap()).unwrap();
    let model = ModelFile::from_json(&file.metadata.unwrap()).unwrap();
    (model.build().unwrap(), file.weights)
}

/// The upper left part of photos of 256×256.
fn cropped(photos: &[u8], side: usize) -> Vec<u8> {
    let rows = photos.chunks_exact(256 * 3).enumerate().filter(|(row, _)| row % 256 < side);
    rows.flat_map(|(_, row)| &row[..side * 3]).copied().collect()
}

type Task = Box<dyn FnMut()>;

fn tasks(dir: &Path) -> BTreeMap<&'static str, Task> {
    let mut tasks: BTreeMap<&'static str, Task> = BTreeMap::new();
    let bytes = fs_err::read(dir.join("photos.u8")).unwrap();

    let (network, weights) = model(dir);
    let initial = init::weights(&network, init::Scheme::PyTorch, 0);
    let model = Model::new(network.clone(), &initial, &Device::Cpu).unwrap();
    let photos = Tensor::from_vec(bytes.clone(), (BATCH, 256, 256, 3), &Device::Cpu).unwrap();
    let labels = Tensor::from_iter((0..BATCH).map(|i| u32::from(i % 2 == 1)), &Device::Cpu).unwrap();
    let boxes = Tensor::arange(0f32, 128.0, &Device::Cpu).unwrap().reshape((BATCH, 4)).unwrap();
    let boxes = (boxes / 127.0).unwrap();
    tasks.insert(
        "train_step_32",
        Box::new(move || {
            let output = model.forward(&photos).unwrap();
            let losses = LossConfig::default().compute(&output, &Truth::all(&labels, &boxes)).unwrap();
            assert!(losses.total.to_scalar::<f32>().unwrap().is_finite());
            let gradients = model.backward(&losses.total).unwrap();
            for (name, var) in model.vars() {
                assert!(gradients.add_to(name, var, 1.0, -LEARNING_RATE).unwrap());
            }
        }),
    );

    let lite0 = lite0(dir);
    let small = cropped(&bytes, LITE0_SIDE);
    for (name, (network, weights), photos, n) in [
        ("infer_1", (&network, &weights), &bytes, 1),
        ("infer_32", (&network, &weights), &bytes, BATCH),
        ("lite0_1", (&lite0.0, &lite0.1), &small, 1),
        ("lite0_32", (&lite0.0, &lite0.1), &small, BATCH),
    ] {
        let forward = Forward::new(network.clone(), weights.clone()).unwrap();
        let photos = photos[..n * network.input().len()].to_vec();
        tasks.insert(
            name,
            Box::new(move || {
                let output = forward.run(ImageBatch::Bytes(&photos), n).unwrap();
                assert!(output.boxes.iter().all(|v| (0.0..=1.0).contains(v)));
            }),
        );
    }

    for (name, file) in [("jpeg_to_box", "photo.jpg"), ("jpeg_12mp_to_box", "photo-12mp.jpg")] {
        let localizer = Localizer::load(dir.join("model.safetensors")).unwrap();
        let jpeg = fs_err::read(dir.join(file)).unwrap();
        tasks.insert(
            name,
            Box::new(move || {
                assert!(localizer.predict_encoded(&jpeg).unwrap().found().unwrap().confidence > 0.0);
            }),
        );
    }

    let set = dataset(&PathBuf::from(fs_err::read_to_string(dir.join("data.txt")).unwrap()));
    tasks.insert(
        "prepare_1200",
        Box::new(move || {
            let all: Vec<usize> = (0..set.samples.len()).collect();
            assert_eq!(Loader::new(&set, &all, InputSpec::default(), 2).unwrap().len(), all.len());
        }),
    );
    tasks
}

fn serve() {
    // As in the command `loc`: this thread is part of the pool.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global().unwrap();
    let dir = PathBuf::from(std::env::var_os("PEERS_DIR").unwrap());
    let mut tasks = tasks(&dir);
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "ready": tasks.keys().collect::<Vec<_>>() })).unwrap();
    let mut warm: Vec<String> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (task, count) = line.split_once(' ').unwrap();
        let Some(run) = tasks.get_mut(task) else {
            writeln!(out, "{}", serde_json::json!({ "error": format!("no task {task}") })).unwrap();
            continue;
        };
        if !warm.iter().any(|w| w == task) {
            run();
            warm.push(task.to_owned());
        }
        let times = (0..count.parse::<usize>().unwrap()).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        });
        writeln!(out, "{}", serde_json::json!({ "ms": times.collect::<Vec<_>>() })).unwrap();
    }
}

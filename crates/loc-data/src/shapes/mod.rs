//! The embedded sample set: photos of a box, a disc or a star somewhere in a room, drawn by numbers alone. For trying
//! everything without a download; hard enough that an answer which never looks at the photo fails.

mod paint;
mod scene;

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;

use crate::{DataError, new_folder};
use scene::{CLASSES, Scene};

/// Number of photos unless asked otherwise: 180 of them validate at the usual fifth.
pub const DEFAULT_COUNT: usize = 900;

/// Most photos that are drawn into one folder.
const MOST: usize = 100_000;

/// The folders of photos and of annotations.
const PARTS: [&str; 2] = ["images", "annotations"];

/// JPEG quality, 1 to 100.
const QUALITY: u8 = 88;

/// Draws `n` photos with their annotations: `OUT/images/shape-00000.jpg`, `OUT/annotations/shape-00000.xml`, …
///
/// A photo is a function of `seed` and its number, whatever `n`, and its bytes are the same on every machine. Each
/// three photos in a row hold each class once. A folder that is made appears whole or not at all.
///
/// # Errors
///
/// [`DataError::Argument`] if `n` is 0 or above 100,000, [`DataError::NotEmpty`] if `out` holds anything or is no folder,
/// [`DataError::Io`] if it cannot be written.
pub fn generate(out: &Path, n: usize, seed: u64) -> Result<(), DataError> {
    if n == 0 || n > MOST {
        return Err(DataError::Argument {
            what: "number of photos",
            value: n.to_string(),
            range: format!("1 to {MOST}"),
        });
    }
    new_folder::create(out, |folder| write_all(folder, n, seed))
}

fn write_all(folder: &Path, n: usize, seed: u64) -> Result<(), DataError> {
    let [images, annotations] = PARTS.map(|part| folder.join(part));
    fs_err::create_dir_all(&images)?;
    fs_err::create_dir_all(&annotations)?;
    (0..n as u64).into_par_iter().try_for_each(|index| {
        let name = format!("shape-{index:05}");
        let scene = Scene::new(seed, index);
        fs_err::write(images.join(format!("{name}.jpg")), jpeg(&scene, &name)?)?;
        fs_err::write(annotations.join(format!("{name}.xml")), xml(&scene, &name))?;
        Ok(())
    })
}

fn jpeg(scene: &Scene, name: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&paint::paint(scene))
        .map_err(|error| DataError::Picture { what: name.to_owned(), error })?;
    Ok(bytes)
}

/// Pascal VOC, as LabelImg writes it; edges to a hundredth of a pixel.
fn xml(scene: &Scene, name: &str) -> String {
    let (width, height) = scene.size;
    let [x1, y1, x2, y2] = scene.bounds();
    let class = CLASSES[scene.class];
    format!(
        "<annotation>
\t<folder>images</folder>
\t<filename>{name}.jpg</filename>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>{class}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>{x1:.2}</xmin>
\t\t\t<ymin>{y1:.2}</ymin>
\t\t\t<xmax>{x2:.2}</xmax>
\t\t\t<ymax>{y2:.2}</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::baseline;
    use crate::{BBox, Dataset, ImageSize, LabelledObject, NormBox, Sample, split};

    /// What the annotations of the first `n` photos say; that files say the same is tested from outside.
    fn set(n: usize, seed: u64) -> Dataset {
        let sample = |index: u64| {
            let scene = Scene::new(seed, index);
            let (width, height) = (u32::from(scene.size.0), u32::from(scene.size.1));
            let file = format!("shape-{index:05}.jpg");
            let (size, bbox) = (ImageSize { width, height }, BBox::from(scene.bounds()));
            Sample {
                image: file.clone().into(),
                file,
                size,
                digest: [0; 32],
                object: Some(LabelledObject { class: scene.class, bbox }),
                subset: None,
                group: None,
            }
        };
        let classes = CLASSES.map(str::to_owned).to_vec();
        Dataset { root: "shapes".into(), classes, samples: (0..n as u64).map(sample).collect() }
    }

    fn norm(sample: &Sample) -> NormBox {
        sample.object.unwrap().bbox.to_norm(sample.size)
    }

    #[test]
    fn a_constant_answer_fails_on_it() {
        for seed in 0..8 {
            let set = set(DEFAULT_COUNT, seed);
            let parts = split::stratified(&set, 0.2, seed).unwrap();
            assert!(parts.val.len() >= 60);
            for on in [&parts.val, &parts.train] {
                let constant = baseline(&set, &parts.train, on).unwrap();
                assert!(constant.median_box.mean_iou <= 0.40, "seed {seed}: {constant:?}");
                assert!(constant.majority_accuracy <= 0.40, "seed {seed}: {constant:?}");
            }
        }
    }

    #[test]
    fn neither_size_nor_place_tells_the_class() {
        let set = set(6_000, 3);
        let means = |class: usize| {
            let boxes: Vec<_> = set.samples.iter().filter(|s| s.class() == Some(class)).collect();
            let mean = |value: &dyn Fn(&Sample) -> f32| {
                boxes.iter().map(|s| value(s)).sum::<f32>() / f32::from(u16::try_from(boxes.len()).unwrap())
            };
            [
                mean(&|s| norm(s).area().sqrt()),
                mean(&|s| (norm(s).x1 + norm(s).x2) / 2.0),
                mean(&|s| (norm(s).y1 + norm(s).y2) / 2.0),
            ]
        };
        let all = [means(0), means(1), means(2)];
        for measure in 0..3 {
            let values = all.map(|s| s[measure]);
            let highest = values.iter().copied().fold(f32::MIN, f32::max);
            let lowest = values.iter().copied().fold(f32::MAX, f32::min);
            // 2,000 a class; the deviation of a mean is about 0.004.
            assert!(highest - lowest < 0.02, "{all:?}");
        }
    }

    #[test]
    fn boxes_lie_inside_and_vary() {
        let set = set(2_000, 1);
        let sides: Vec<f32> = set.samples.iter().map(|s| norm(s).area().sqrt()).collect();
        let inside = |s: &Sample| s.object.is_some_and(|o| o.bbox == o.bbox.clip(s.size));
        assert!(set.samples.iter().all(inside));
        assert!(sides.iter().copied().fold(f32::MAX, f32::min) < 0.25);
        assert!(sides.iter().copied().fold(0.0, f32::max) > 0.55);
    }
}

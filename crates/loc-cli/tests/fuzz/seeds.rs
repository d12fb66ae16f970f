//! Valid bytes for each target, made by code.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::{Cursor, Write};

use loc_infer::{ImageSize, InputSpec, ModelMeta};
use loc_net::{InputShape, Network, NetworkConfig};
use loc_train::ModelFile;

/// Returns a small photo with detail, as JPEG, PNG, BMP and TIFF.
pub(crate) fn images() -> Vec<Vec<u8>> {
    let photo = image::RgbImage::from_fn(61, 47, |x, y| {
        let noise = (x ^ (y << 1)).wrapping_mul(2_654_435_761) >> 27;
        image::Rgb([(x * 4) as u8, (y * 5) as u8, (100 + noise) as u8])
    });
    use image::ImageFormat::{Bmp, Jpeg, Png, Tiff};
    let formats = [Jpeg, Png, Bmp, Tiff];
    let encode = |format| {
        let mut bytes = Cursor::new(Vec::new());
        photo.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    formats.map(encode).into()
}

/// Returns a model with the tutorial's names and a small input, so that it has few weights.
fn parts() -> (Network, loc_net::Weights, String) {
    let size = ImageSize { width: 188, height: 188 };
    let meta =
        ModelMeta::new(vec!["cat".into(), "dog".into()], InputSpec { size, ..InputSpec::default() }).unwrap();
    let config = NetworkConfig::five_conv(InputShape { height: 188, width: 188 }, 2);
    let file = ModelFile::new(meta, config);
    let network = file.build().unwrap();
    let weights = loc_model::init::weights(&network, loc_model::init::Scheme::PyTorch, 1);
    (network, weights, file.to_json().unwrap())
}

fn golden(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../loc-model/tests/golden/pth");
    fs_err::read(folder.join(format!("{name}.pth"))).unwrap()
}

fn wheel() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("w/model.pth", options).unwrap();
    zip.write_all(&golden("ok-state-dict")).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Returns valid bytes for a target, which accepts each of them.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    match target {
        "image" => images(),
        "voc" => {
            let plain = "<annotation>\n<filename>a.jpg</filename>\n<size><width>64</width><height>48</height><depth>3</depth></size>\n\
             <object><name>cat</name><bndbox><xmin>1.5</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>\
             </object>\n</annotation>\n";
            let declared = |name: &str| format!("<?xml version=\"1.0\" encoding=\"{name}\"?>\n{plain}");
            let wide = |text: String| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            vec![
                plain.as_bytes().to_vec(),
                declared("gb18030").into_bytes(),
                wide(format!("\u{feff}{}", declared("utf-16"))),
            ]
        }
        "csv" => {
            let commas = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,cat,1,2,30,40\n\
                          \"b, \"\"c\"\".jpg\",64,48,dog,5,6,64,48\n";
            let semicolons = format!("sep=;\n{}", commas.replace(',', ";"));
            vec![commas.as_bytes().to_vec(), semicolons.into_bytes()]
        }
        "json" => {
            let coco = "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\", \"width\": 64, \"height\": 48.0}],\n\"categories\": \
                        [{\"id\": 3, \"name\": \"cat\"}],\n\"annotations\": [{\"image_id\": 1, \"category_id\": 3, \"bbox\": \
                        [1, 2.5, 30, 4e1], \"iscrowd\": 0}]}";
            let labelme = "{\"shapes\": [{\"label\": \"cat\", \"points\": [[1, 2], [30, 40.5]], \"shape_type\": \
                           \"rectangle\"}],\n\"imagePath\": \"..\\\\a.jpg\", \"imageWidth\": 64, \"imageHeight\": 48}";
            let task = "[{\"id\": 1, \"annotations\": [{\"result\": [{\"type\": \"rectanglelabels\", \"original_width\": 64, \
                        \"original_height\": 48, \"value\": {\"x\": 5, \"y\": 6.5, \"width\": 50, \"height\": 20, \"rotation\": 0, \
                        \"rectanglelabels\": [\"cat\"]}}]}],\n\"data\": {\"image\": \"/data/upload/1/0a1b2c3d-a%20b.jpg\"}}]";
            let createml = "[{\"image\": \"a.jpg\", \"annotations\": [{\"label\": \"cat\", \"coordinates\": {\"x\": 20, \"y\": 20, \
                            \"width\": 10, \"height\": 8}}]}]";
            let vott = "{\"asset\": {\"name\": \"a.jpg\", \"size\": {\"width\": 64, \"height\": 48}}, \"regions\": [{\"tags\": \
                        [\"cat\"], \"boundingBox\": {\"left\": 1, \"top\": 2, \"width\": 30, \"height\": 20}}]}";
            [coco, labelme, task, createml, vott].map(|text| text.as_bytes().to_vec()).into()
        }
        "yolo" => text("0 0.5 0.5 0.25 0.125\n1 0.1 0.2 0.05 1e-2 0.93\n"),
        "yaml" => text(
            "path: ../x\ntrain: images/train\nval: [images/val, \"images/more\"]\nnames:\n  0: cat\n  1: no\n",
        ),
        "split" => text("filename,split\na.jpg,train\n\"b.jpg\",val\n'-c.jpg,none\n"),
        "model" => {
            let (_, weights, json) = parts();
            vec![loc_model::weights::to_bytes(&weights, Some(&json)).unwrap()]
        }
        "pth" => vec![golden("ok-state-dict"), golden("ok-checkpoint")],
        "pth_legacy" => vec![golden("bad-legacy")],
        "wheel" => vec![wheel()],
        "onnx" => {
            let (network, weights, json) = parts();
            vec![loc_model::export::onnx(&network, &weights, &json, 13).unwrap()]
        }
        "config" => text(include_str!("../../../loc-train/recipes/finetune.toml")),
        _ => panic!("no target {target}"),
    }
}

//! Data sets made by code, in folders that vanish, and the shared photos where they are present.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(dead_code, reason = "each test file uses a part")]

#[path = "../../../../xtask/src/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;

/// A folder that vanishes with it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, its folders made on the way.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Writes a photo, another for each name; the format is that of the ending.
    pub(crate) fn photo(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let format = ImageFormat::from_path(name).unwrap();
        let mut number = name.bytes().fold(0, |n: u32, b| n.wrapping_mul(31).wrapping_add(b.into()));
        let mut image = gradient(width, height);
        // A dozen blocks of 8×8 with colours of the name's.
        for _ in 0..12 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [x, y, r, g] = number.to_be_bytes();
            let (left, top) = (u32::from(x) % width, u32::from(y) % height);
            for (x, y) in
                (left..width.min(left + 8)).flat_map(|x| (top..height.min(top + 8)).map(move |y| (x, y)))
            {
                image.put_pixel(x, y, Rgb([r, g, r ^ g]));
            }
        }
        self.write(name, of_image(&image, format))
    }

    /// Writes a photo and, at `xml`, its annotation with one `cat` in the middle.
    pub(crate) fn annotated(&self, photo: &str, xml: &str) {
        self.photo(photo, 64, 48);
        let name = Path::new(photo).file_name().unwrap().to_str().unwrap();
        self.write(xml, voc(name, (64, 48), &[("cat", [10.0, 12.0, 40.0, 36.0])]));
    }
}

/// An encoded photo with a gradient: compresses, but no two sizes are alike.
pub(crate) fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    of_image(&gradient(width, height), format)
}

fn gradient(width: u32, height: u32) -> RgbImage {
    let byte = |v: u32| u8::try_from(v % 256).unwrap();
    RgbImage::from_fn(width, height, |x, y| Rgb([byte(x * 3), byte(y * 5), byte(x + y)]))
}

fn of_image(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A JPEG of a gradient with an EXIF block that says `orientation` (1 to 8).
pub(crate) fn jpeg_with_orientation(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    with_orientation(&encoded(width, height, ImageFormat::Jpeg), orientation)
}

/// A JPEG that EXIF turns to look like this, and its stored pixels.
pub(crate) fn turned_jpeg(upright: &RgbImage, orientation: u8) -> (Vec<u8>, RgbImage) {
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    // EXIF 2.32, tag 274.
    let stored = match orientation {
        2 => flip_horizontal(upright),
        3 => rotate180(upright),
        4 => flip_vertical(upright),
        5 => rotate270(&flip_horizontal(upright)),
        6 => rotate270(upright),
        7 => rotate90(&flip_horizontal(upright)),
        8 => rotate90(upright),
        _ => upright.clone(),
    };
    (with_orientation(&of_image(&stored, ImageFormat::Jpeg), orientation), stored)
}

fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    // APP1: "Exif", a big-endian TIFF with one entry: orientation (0x0112), short, one value.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend(length);
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// A VOC annotation as LabelImg writes it.
pub(crate) fn voc(filename: &str, (width, height): (u32, u32), objects: &[(&str, [f32; 4])]) -> String {
    let objects: String = objects.iter().map(|(name, b)| object(name, b.map(|v| v.to_string()))).collect();
    format!(
        "<annotation>\n\t<folder>elsewhere</folder>\n\t<filename>{filename}</filename>\n\t<path>C:\\not\\here\\x.jpg</path>\n\
         \t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n\
         {objects}</annotation>\n"
    )
}

/// One `<object>`, its edges as text.
pub(crate) fn object(name: &str, [x1, y1, x2, y2]: [String; 4]) -> String {
    format!(
        "\t<object>\n\t\t<name>{name}</name>\n\t\t<bndbox>\n\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymin>{y1}</ymin>\n\
         \t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
    )
}

/// The folder of a shared data set, unpacked; says in one line if there is none.
pub(crate) fn shared(name: &str) -> Option<Folder> {
    let archive = shared_file(&format!("datasets/{name}.tar.gz"))?;
    let folder = Folder::new();
    let status = std::process::Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success(), "tar {}", archive.display());
    Some(folder)
}

/// A file of the shared folder; says in one line if there is none.
pub(crate) fn shared_file(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("LOC_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skip::say(
        skip::Reason::Shared,
        &format!("{} is not there (LOC_SHARED names its folder)", path.display()),
    );
    None
}

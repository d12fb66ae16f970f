//! The table of kinds of files: name, file extensions, first bytes, and a hint.

use image::ImageFormat;

use super::FileKind;

const FEATURE: &str = "build loc-infer with the feature `formats`";

const fn read(
    what: &'static str,
    endings: &'static [&'static str],
    starts: &'static [&'static [u8]],
    format: ImageFormat,
) -> FileKind {
    FileKind { what, endings, starts, format: Some(format), photo: true, hint: FEATURE }
}

const fn photo(
    what: &'static str,
    endings: &'static [&'static str],
    starts: &'static [&'static [u8]],
    hint: &'static str,
) -> FileKind {
    FileKind { what, endings, starts, format: None, photo: true, hint }
}

const fn other(
    what: &'static str,
    endings: &'static [&'static str],
    starts: &'static [&'static [u8]],
    hint: &'static str,
) -> FileKind {
    FileKind { what, endings, starts, format: None, photo: false, hint }
}

const MAGICK: &str = "convert it to JPEG or PNG, for example with ImageMagick: `magick FILE a.png`";
const FRAMES: &str = "take frames out of it: `ffmpeg -i FILE a-%05d.jpg`";
const UNPACK: &str = "unpack it and name the folder";

pub(super) static JPEG: FileKind = read(
    "a JPEG photo",
    &["jpg", "jpeg", "jpe", "jfif", "jif", "jpg_large", "jpg-large"],
    &[b"\xff\xd8\xff"],
    ImageFormat::Jpeg,
);
pub(super) static PNG: FileKind =
    read("a PNG photo", &["png", "apng"], &[b"\x89PNG\r\n\x1a\n"], ImageFormat::Png);
pub(super) static BMP: FileKind = read("a BMP photo", &["bmp", "dib"], &[b"BM"], ImageFormat::Bmp);
pub(super) static GIF: FileKind = read("a GIF photo", &["gif"], &[b"GIF87a", b"GIF89a"], ImageFormat::Gif);
pub(super) static WEBP: FileKind = read("a WebP photo", &["webp"], &[], ImageFormat::WebP);
pub(super) static TIFF: FileKind =
    read("a TIFF photo", &["tif", "tiff"], &[b"II\x2a\0", b"MM\0\x2a"], ImageFormat::Tiff);

pub(super) static HEIC: FileKind = photo(
    "a HEIC photo",
    &["heic", "heif", "hif", "heics", "heifs"],
    &[],
    "convert it to JPEG: `heif-convert FILE a.jpg`, or with ImageMagick: `magick FILE a.jpg`",
);
pub(super) static AVIF: FileKind = photo(
    "an AVIF photo",
    &["avif", "avifs"],
    &[],
    "convert it to PNG: `avifdec FILE a.png`, or with ImageMagick: `magick FILE a.png`",
);
pub(super) static RAW: FileKind = photo(
    "a camera's RAW photo",
    &[
        "3fr", "arw", "cr2", "cr3", "crw", "dng", "erf", "iiq", "kdc", "mrw", "nef", "nrw", "orf", "pef",
        "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f",
    ],
    &[b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR", b"FOVb", b"\0MRM"],
    "develop it to JPEG, for example with darktable: `darktable-cli FILE a.jpg`",
);
pub(super) static JPEG_XL: FileKind = photo(
    "a JPEG XL photo",
    &["jxl"],
    &[b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "convert it to PNG: `djxl FILE a.png`",
);
pub(super) static JPEG_2000: FileKind = photo(
    "a JPEG 2000 photo",
    &["jp2", "j2k", "jpf", "jpx", "j2c", "jpc"],
    &[b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"],
    MAGICK,
);
pub(super) static BIG_TIFF: FileKind = photo("a BigTIFF photo", &[], &[b"II\x2b\0", b"MM\0\x2b"], MAGICK);
pub(super) static PNM: FileKind = photo("a PNM photo", &["pbm", "pgm", "ppm", "pnm", "pam"], &[], MAGICK);
pub(super) static HDR: FileKind =
    photo("a Radiance HDR photo", &["hdr"], &[b"#?RADIANCE", b"#?RGBE"], MAGICK);
pub(super) static EXR: FileKind = photo("an OpenEXR photo", &["exr"], &[b"\x76\x2f\x31\x01"], MAGICK);

pub(super) static ICO: FileKind = other("an icon", &["ico", "cur"], &[b"\0\0\x01\0"], MAGICK);
pub(super) static PSD: FileKind =
    other("a Photoshop document", &["psd", "psb"], &[b"8BPS"], "export it as JPEG or PNG");
pub(super) static PDF: FileKind =
    other("a PDF document", &["pdf"], &[b"%PDF-"], "take the photos out of it: `pdfimages -all FILE a`");
pub(super) static SVG: FileKind =
    other("an SVG drawing", &["svg", "svgz"], &[], "draw it as PNG: `rsvg-convert FILE -o a.png`");
pub(super) static MP4: FileKind = other("an MP4 video", &["mp4", "m4v", "3gp", "3g2"], &[], FRAMES);
pub(super) static QUICKTIME: FileKind = other("a QuickTime video", &["mov", "qt"], &[], FRAMES);
pub(super) static AVI: FileKind = other("an AVI video", &["avi"], &[], FRAMES);
pub(super) static MATROSKA: FileKind = other("a Matroska video", &["mkv"], &[], FRAMES);
pub(super) static WEBM: FileKind = other("a WebM video", &["webm"], &[], FRAMES);
pub(super) static WMV: FileKind =
    other("a Windows Media video", &["wmv", "asf"], &[b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"], FRAMES);
pub(super) static MPEG: FileKind =
    other("an MPEG video", &["mpg", "mpeg", "mts", "m2ts"], &[b"\0\0\x01\xba", b"\0\0\x01\xb3"], FRAMES);
pub(super) static ZIP: FileKind = other("a ZIP archive", &["zip"], &[b"PK\x03\x04"], UNPACK);
pub(super) static LFS: FileKind = other(
    "a Git LFS pointer",
    &[],
    &[b"version https://git-lfs.github.com/spec/"],
    "the file itself was not downloaded: `git lfs pull` gets it",
);

pub(super) static KINDS: [&FileKind; 28] = [
    &JPEG, &PNG, &BMP, &GIF, &WEBP, &TIFF, &HEIC, &AVIF, &RAW, &JPEG_XL, &JPEG_2000, &BIG_TIFF, &PNM, &HDR,
    &EXR, &ICO, &PSD, &PDF, &SVG, &MP4, &QUICKTIME, &AVI, &MATROSKA, &WEBM, &WMV, &MPEG, &ZIP, &LFS,
];

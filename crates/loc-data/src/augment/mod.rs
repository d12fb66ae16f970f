//! Augmentation of photos and their boxes: geometry and colour, as a function of (seed, epoch, sample) alone.
//!
//! Geometry is one window onto the photo, smaller than it (a crop, enlarged) or larger (grey outside), flipped or not: one
//! resampling. All colour changes are one affine map of RGB. [`Augment::draw`] draws the parameters, `warp` resamples.

mod warp;

use loc_infer::NormBox;

use crate::keys::KeyError;
use crate::random::Random;

crate::keys! {
    /// How training photos are changed, anew in each epoch, and their boxes with them; by default not at all.
    #[derive(Copy)]
    pub struct Augment {
        /// Probability that the photo is mirrored.
        flip: f32 = 0.0, from_to(0.0, 1.0);
        /// The smallest and the largest side of the window that the photo is seen through, as a fraction of the photo's side.
        ///
        /// A window below 1 crops; one above 1 shows grey around the photo. The logarithm of the side is uniform between the
        /// two.
        window: [f32; 2] = [1.0; 2], from_to(0.1, 10.0);
        /// Change of the window's aspect ratio: its width is multiplied by up to e^±x, its height by e^∓x.
        aspect: f32 = 0.0, from_to(0.0, 1.0);
        /// Fraction of the object's area that the window keeps, at least.
        ///
        /// After ten windows that keep less the photo stays as it is.
        keep: f32 = 0.8, from_to(0.0, 1.0);
        /// Brightness is multiplied by 1 ± x.
        brightness: f32 = 0.0, from_to(0.0, 1.0);
        /// Contrast (the distance from mid-grey) is multiplied by 1 ± x.
        contrast: f32 = 0.0, from_to(0.0, 1.0);
        /// Saturation (the distance from the pixel's grey) is multiplied by 1 ± x.
        saturation: f32 = 0.0, from_to(0.0, 1.0);
        /// Each colour channel is multiplied by 1 ± x of its own: the colour of the light.
        tint: f32 = 0.0, from_to(0.0, 1.0);
        /// Probability that the photo loses its colours.
        grayscale: f32 = 0.0, from_to(0.0, 1.0);
        /// Probability that a grey rectangle covers a part of the photo, and at most half of the object.
        cutout: f32 = 0.0, from_to(0.0, 1.0);
        /// Probability that another training photo is blended in, with a weight of a tenth to four tenths.
        ///
        /// Box and class stay those of the photo (mixup, Zhang et al. 2018, without mixed labels).
        mix: f32 = 0.0, from_to(0.0, 1.0);
    }
}

/// The augmentation drawn for one photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// Left, top, width and height of the window, as fractions of the photo.
    pub window: [f32; 4],
    /// Whether the window is flipped horizontally.
    pub mirrored: bool,
    /// The change of colours, if any.
    pub colour: Option<ColourMap>,
    /// A grey rectangle, in fractions of the result.
    pub cutout: Option<NormBox>,
    /// Another photo to mix in.
    pub mix: Option<Mixup>,
}

/// An affine map of colours, in bytes: `out = matrix · rgb + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourMap {
    /// Rows make red, green and blue of the result.
    pub matrix: [[f32; 3]; 3],
    /// Added to red, green and blue.
    pub offset: [f32; 3],
}

/// Another photo to mix in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixup {
    /// Random bits that select the photo.
    key: u64,
    /// Its weight in each pixel, in 256ths.
    weight: u16,
}

/// Windows that are drawn before the photo is used whole.
const TRIES: usize = 10;
/// Range of the weight of a mixed-in photo, in 256ths, the last excluded: less than the photo's own.
const WEIGHTS: (u16, u16) = (26, 103);
/// Domain separation: the first part of this module's random keys.
const AUGMENT: u64 = 0x6175_676D_656E_7401;
/// Weights of red, green and blue in grey (Rec. 601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Augment {
    /// Whether augmentation is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let Self {
            flip,
            window,
            aspect,
            brightness,
            contrast,
            saturation,
            tint,
            grayscale,
            cutout,
            mix,
            keep: _,
        } = *self;
        let sizes = [flip, aspect, brightness, contrast, saturation, tint, grayscale, cutout, mix];
        sizes.iter().all(|v| *v == 0.0) && window == [1.0; 2]
    }

    /// The same without windows, cutout and mixup: only flips and colours.
    #[must_use]
    pub fn flips_and_colours(&self) -> Self {
        Self { window: [1.0; 2], aspect: 0.0, cutout: 0.0, mix: 0.0, ..*self }
    }

    /// Checks the range of each key, and that the window's sides are in order.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for the first value that is wrong.
    pub fn check(&self) -> Result<(), KeyError> {
        self.check_ranges()?;
        let [low, high] = self.window;
        if low <= high {
            return Ok(());
        }
        let allowed = "the first must not be above the second".into();
        Err(KeyError { key: "window".into(), value: format!("[{low}, {high}]"), allowed })
    }

    /// Draws the augmentation of a sample in an epoch; `bbox` is its object's box. A negative has none to keep: every window
    /// of it shows no object.
    #[must_use]
    pub fn draw(&self, seed: u64, epoch: u64, sample: usize, bbox: Option<NormBox>) -> Transform {
        let mut random = Random::keyed(&[AUGMENT, seed, epoch, sample as u64]);
        let mirrored = random.chance(self.flip);
        let keeps = |w: &[f32; 4]| bbox.is_none_or(|bbox| kept(*w, bbox) >= self.keep);
        let window = (0..TRIES).map(|_| self.window(&mut random)).find(keeps);
        let window = window.unwrap_or([0.0, 0.0, 1.0, 1.0]);
        let mut drawn = Transform { window, mirrored, colour: None, cutout: None, mix: None };
        drawn.colour = self.colour(&mut random);
        if random.chance(self.cutout) {
            let object = bbox.map(|bbox| drawn.bbox(bbox));
            let shows = |r: &NormBox| object.is_none_or(|object| covered(*r, object) <= 0.5);
            drawn.cutout = (0..TRIES).map(|_| rectangle(&mut random)).find(shows);
        }
        // Another photo may show an object, which a negative must not.
        if bbox.is_some() && random.chance(self.mix) {
            let (low, high) = WEIGHTS;
            let weight = low + u16::try_from(random.below(usize::from(high - low))).unwrap_or(0);
            drawn.mix = Some(Mixup { key: random.bits(), weight });
        }
        drawn
    }

    fn window(&self, random: &mut Random) -> [f32; 4] {
        let [low, high] = self.window.map(f32::ln);
        let side = random.range(low, high).exp();
        let aspect = random.range(-self.aspect, self.aspect).exp();
        let (width, height) = (side * aspect, side / aspect);
        // Inside the photo if it fits, around the photo if it does not.
        let mut place = |side: f32| (1.0 - side) * random.unit();
        [place(width), place(height), width, height]
    }

    /// Contrast after brightness after saturation, as one affine map.
    fn colour(&self, random: &mut Random) -> Option<ColourMap> {
        let mut factor = |size: f32| 1.0 + random.range(-size, size);
        let (brightness, contrast) = (factor(self.brightness), factor(self.contrast));
        let mut saturation = factor(self.saturation);
        let tint = [0; 3].map(|_| factor(self.tint));
        if random.chance(self.grayscale) {
            saturation = 0.0;
        }
        let none = [self.brightness, self.contrast, self.saturation, self.tint, self.grayscale];
        if none == [0.0; 5] {
            return None;
        }
        let matrix = std::array::from_fn(|out| {
            std::array::from_fn(|from: usize| {
                let same = f32::from(u8::from(out == from));
                tint[out] * brightness * contrast * (saturation * same + (1.0 - saturation) * LUMA[from])
            })
        });
        Some(ColourMap { matrix, offset: [127.5 * (1.0 - contrast); 3] })
    }
}

impl Transform {
    /// Maps a box of the photo to the result, clipped to it.
    #[must_use]
    pub fn bbox(&self, bbox: NormBox) -> NormBox {
        let [left, top, width, height] = self.window;
        let [x1, y1, x2, y2] = bbox.xyxy();
        let (mut x1, mut x2) = ((x1 - left) / width, (x2 - left) / width);
        if self.mirrored {
            (x1, x2) = (1.0 - x2, 1.0 - x1);
        }
        NormBox::new(x1, (y1 - top) / height, x2, (y2 - top) / height).clip()
    }

    /// Writes the augmented photo to `out`. Both are interleaved RGB bytes, `height` rows of `width` pixels.
    ///
    /// # Panics
    ///
    /// If a slice has another length.
    pub fn apply(&self, photo: &[u8], width: usize, height: usize, out: &mut [u8]) {
        assert_eq!((photo.len(), out.len()), (3 * width * height, 3 * width * height), "RGB bytes");
        warp::warp(photo, width, height, self, out);
    }
}

impl Mixup {
    /// The index of the other photo among `n`: not `own`, unless there is no other.
    #[must_use]
    pub fn other(&self, own: usize, n: usize) -> usize {
        let others = n.saturating_sub(1).max(1);
        (own + 1 + Random::keyed(&[self.key]).below(others)) % n.max(1)
    }

    /// Mixes the other photo into `out`; both are RGB bytes of one size.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn apply(&self, other: &[u8], out: &mut [u8]) {
        assert_eq!(other.len(), out.len(), "photos of one size");
        for (out, other) in out.iter_mut().zip(other) {
            let sum = u16::from(*out) * (256 - self.weight) + u16::from(*other) * self.weight;
            // At most 255 · 256, so its upper byte is the mean.
            *out = sum.to_be_bytes()[0];
        }
    }
}

/// The fraction of a box's area inside a window.
fn kept([left, top, width, height]: [f32; 4], bbox: NormBox) -> f32 {
    covered(NormBox::new(left, top, left + width, top + height), bbox)
}

/// The fraction of a box's area inside a rectangle.
fn covered(rectangle: NormBox, bbox: NormBox) -> f32 {
    let ([a1, b1, a2, b2], [x1, y1, x2, y2]) = (rectangle.xyxy(), bbox.xyxy());
    let overlap = |low: f32, high: f32| (high - low).max(0.0);
    let area = overlap(x1, x2) * overlap(y1, y2);
    let common = overlap(x1.max(a1), x2.min(a2)) * overlap(y1.max(b1), y2.min(b2));
    if area > 0.0 { common / area } else { 1.0 }
}

/// Draws a rectangle with sides of 0.1 to 0.4 of the photo's.
fn rectangle(random: &mut Random) -> NormBox {
    let (width, height) = (random.range(0.1, 0.4), random.range(0.1, 0.4));
    let (left, top) = (random.range(0.0, 1.0 - width), random.range(0.0, 1.0 - height));
    NormBox::new(left, top, left + width, top + height)
}

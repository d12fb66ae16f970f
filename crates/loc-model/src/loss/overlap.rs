//! Losses of the overlap of two boxes: GIoU, DIoU, CIoU.
//!
//! The predicted edges are sorted first, as in prediction, so a box with swapped edges still has an overlap and a
//! useful gradient. Boxes are x1, y1, x2, y2 in 0..1.

use std::f64::consts::PI;

use candle_core::{D, Error, Tensor};

use super::reduce::batch_mean;
use super::{BoxBatch, LossConfig, expect, rows};

/// Keeps quotients of empty boxes finite.
const EPSILON: f64 = 1e-9;
/// Added to both sides in the aspect ratio: without it the gradient of a very small box is unbounded.
const SIDE_EPSILON: f64 = 1e-4;

/// `1 − GIoU`, the mean over the batch: 0 for equal boxes, at most 2.
///
/// Generalized IoU (Rezatofighi et al. 2019) is `IoU − (C − U)/C`, where C is the area of the smallest box that
/// contains both, and U the area of their union. It has a gradient also if the boxes do not touch. Only for a point
/// inside the other box the gradient is 0.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn giou(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&giou_of_each(predicted, target)?, predicted.dim(0)?)
}

/// Returns `1 − GIoU` of each box, `[N]`.
fn giou_of_each(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    let pair = Pair::of(predicted, target)?;
    let enclosing_area = area(&pair.enclosing)?;
    1.0 - (&pair.iou - ((&enclosing_area - &pair.union)? / (&enclosing_area + EPSILON)?)?)?
}

/// `1 − DIoU`, the mean over the batch: 0 for equal boxes, at most 2.
///
/// Distance IoU (Zheng et al. 2020) is `IoU − ρ²/c²`, where ρ is the distance of the centres and c the diagonal of the
/// smallest box that contains both.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn diou(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&diou_of_each(predicted, target)?, predicted.dim(0)?)
}

/// Returns `1 − DIoU` of each box, `[N]`.
fn diou_of_each(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    1.0 - Pair::of(predicted, target)?.diou()?
}

/// `1 − CIoU`, the mean over the batch: 0 for equal boxes, at most 3.
///
/// Complete IoU (Zheng et al. 2020) is DIoU − α·v with `v = 4/π² · (arctan(w/h) − arctan(ŵ/ĥ))²` and
/// `α = v / (1 − IoU + v)`, which is treated as a constant in the gradient. ε = 1e-4 is added to the sides in w/h.
///
/// # Shapes
///
/// both `[N, 4]`; the result is a scalar.
///
/// # Errors
///
/// A Candle error that names both shapes if they do not fit.
pub fn ciou(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    batch_mean(&ciou_of_each(predicted, target)?, predicted.dim(0)?)
}

/// Returns `1 − CIoU` of each box, `[N]`.
fn ciou_of_each(predicted: &Tensor, target: &Tensor) -> Result<Tensor, Error> {
    let pair = Pair::of(predicted, target)?;
    1.0 - (pair.diou()? - aspect(&pair.a, &pair.b, &pair.iou)?)?
}

pub(super) fn of_giou(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&giou_of_each(batch.predicted, batch.target)?)
}

pub(super) fn of_diou(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&diou_of_each(batch.predicted, batch.target)?)
}

pub(super) fn of_ciou(batch: &BoxBatch, _: &LossConfig) -> Result<Tensor, Error> {
    batch.photos.mean(&ciou_of_each(batch.predicted, batch.target)?)
}

/// Predicted and true box of each sample, and the measures that several losses use.
struct Pair {
    a: Edges,
    b: Edges,
    /// The sides of the smallest box that contains both, `[N, 2]`.
    enclosing: Tensor,
    /// The area of the union, `[N]`.
    union: Tensor,
    /// `[N]`
    iou: Tensor,
}

impl Pair {
    fn of(predicted: &Tensor, target: &Tensor) -> Result<Self, Error> {
        let (n, _) = rows("predicted boxes", predicted)?;
        expect("predicted boxes", predicted, &[n, 4], predicted.dtype())?;
        expect("boxes", target, &[n, 4], predicted.dtype())?;
        let (a, b) = (Edges::ordered(predicted)?, Edges::ordered(target)?);
        let overlap_sides = (smaller(&a.high, &b.high)? - larger(&a.low, &b.low)?)?;
        let overlap_sides = larger(&overlap_sides, &overlap_sides.zeros_like()?)?;
        let enclosing = (larger(&a.high, &b.high)? - smaller(&a.low, &b.low)?)?;
        let intersection = area(&overlap_sides)?;
        let union = ((area(&a.sides()?)? + area(&b.sides()?)?)? - &intersection)?;
        let iou = (&intersection / (&union + EPSILON)?)?;
        Ok(Self { a, b, enclosing, union, iou })
    }

    fn diou(&self) -> Result<Tensor, Error> {
        let distance = ((self.a.centre()? - self.b.centre()?)?.sqr()?.sum(D::Minus1)?
            / (self.enclosing.sqr()?.sum(D::Minus1)? + EPSILON)?)?;
        &self.iou - distance
    }
}

/// Returns the areas of boxes with sides `[N, 2]`.
fn area(sides: &Tensor) -> Result<Tensor, Error> {
    (sides.narrow(1, 0, 1)? * sides.narrow(1, 1, 1)?)?.squeeze(1)
}

/// Returns `α · v` of CIoU.
fn aspect(a: &Edges, b: &Edges, iou: &Tensor) -> Result<Tensor, Error> {
    let angle = |edges: &Edges| {
        let sides = (edges.sides()? + SIDE_EPSILON)?;
        arctan(&(sides.narrow(1, 0, 1)? / sides.narrow(1, 1, 1)?)?.squeeze(1)?)
    };
    let v = ((angle(a)? - angle(b)?)?.sqr()? * (4.0 / (PI * PI)))?;
    let alpha = (v.detach() / (((1.0 - iou.detach())? + v.detach())? + EPSILON)?)?;
    alpha * v
}

/// The lower and the upper edges of boxes, each `[N, 2]`: x and y.
struct Edges {
    low: Tensor,
    high: Tensor,
}

impl Edges {
    fn ordered(boxes: &Tensor) -> Result<Self, Error> {
        let (first, second) = (boxes.narrow(1, 0, 2)?, boxes.narrow(1, 2, 2)?);
        Ok(Self { low: smaller(&first, &second)?, high: larger(&first, &second)? })
    }

    fn sides(&self) -> Result<Tensor, Error> {
        &self.high - &self.low
    }

    fn centre(&self) -> Result<Tensor, Error> {
        (&self.high + &self.low)? * 0.5
    }
}

/// Returns the element-wise minimum; on a tie the first value gets the whole gradient (Candle's own minimum gives it to
/// both).
fn smaller(a: &Tensor, b: &Tensor) -> Result<Tensor, Error> {
    a.le(b)?.where_cond(a, b)
}

/// Returns the element-wise maximum; on a tie the first value gets the whole gradient.
fn larger(a: &Tensor, b: &Tensor) -> Result<Tensor, Error> {
    a.ge(b)?.where_cond(a, b)
}

/// Returns arctan of values of at least 0, accurate to 1e-12: the angle is halved three times,
/// `arctan x = 2 · arctan(x / (1 + √(1 + x²)))`, then the series is summed (Candle has no arctan).
fn arctan(x: &Tensor) -> Result<Tensor, Error> {
    let mut x = x.clone();
    for _ in 0..3 {
        x = (&x / ((x.sqr()? + 1.0)?.sqrt()? + 1.0)?)?;
    }
    // x is at most tan(π/16) = 0.199.
    let square = x.sqr()?;
    let mut sum = (square.zeros_like()? + 1.0 / 15.0)?;
    for k in (0..7).rev() {
        sum = ((&square * sum)?.neg()? + 1.0 / f64::from(2 * k + 1))?;
    }
    (x * sum)? * 8.0
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::check_gradient;
    use super::*;

    type Loss = fn(&Tensor, &Tensor) -> Result<Tensor, Error>;

    const ALL: [(&str, Loss); 3] = [("GIoU", giou), ("DIoU", diou), ("CIoU", ciou)];

    fn tensor(boxes: &[[f64; 4]]) -> Tensor {
        Tensor::from_slice(boxes.as_flattened(), (boxes.len(), 4), &Device::Cpu).unwrap()
    }

    fn value(a: [f64; 4], b: [f64; 4], loss: Loss) -> f64 {
        loss(&tensor(&[a]), &tensor(&[b])).unwrap().to_scalar().unwrap()
    }

    #[track_caller]
    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-6, "got {got}, expected {expected}");
    }

    #[test]
    fn values_follow_the_formulas() {
        let (a, b) = ([0.0, 0.0, 0.5, 0.4], [0.25, 0.2, 0.75, 1.0]);
        // Intersection 0.25 · 0.2, union 0.2 + 0.4 − 0.05, enclosing box 0.75 · 1.
        let iou = 0.05 / 0.55;
        close(value(a, b, giou), 1.0 - (iou - 0.2 / 0.75));
        let distance_iou = iou - (0.25f64.powi(2) + 0.4f64.powi(2)) / (0.75f64.powi(2) + 1.0);
        close(value(a, b, diou), 1.0 - distance_iou);
        let angle = |w: f64, h: f64| ((w + SIDE_EPSILON) / (h + SIDE_EPSILON)).atan();
        let v = 4.0 / (PI * PI) * (angle(0.5, 0.4) - angle(0.5, 0.8)).powi(2);
        close(value(a, b, ciou), 1.0 - distance_iou + v * v / (1.0 - iou + v));
        for (_, loss) in ALL {
            close(value(a, a, loss), 0.0);
            close(value([0.5, 0.4, 0.0, 0.0], b, loss), value(a, b, loss));
        }
    }

    #[test]
    fn boxes_that_do_not_touch_and_boxes_without_area_have_values_and_gradients() {
        let target = [0.2, 0.2, 0.6, 0.7];
        let boxes =
            [[0.8, 0.8, 0.9, 0.9], [0.3, 0.3, 0.3, 0.3], [0.4, 0.1, 0.4, 0.9], target, [0.0, 0.0, 1.0, 1.0]];
        for (name, loss_of) in ALL {
            for b in boxes {
                let var = candle_core::Var::from_tensor(&tensor(&[b])).unwrap();
                let loss = loss_of(&var, &tensor(&[target])).unwrap();
                let grads = loss.backward().unwrap();
                let g = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
                assert!(
                    loss.to_scalar::<f64>().unwrap().is_finite() && g.iter().all(|v| v.is_finite()),
                    "{name} {b:?} {g:?}"
                );
                // A step against the gradient reduces the loss, unless the box is already correct.
                let moved: Vec<f64> = b.iter().zip(&g).map(|(b, g)| b - 1e-4 * g).collect();
                let after = value([moved[0], moved[1], moved[2], moved[3]], target, loss_of);
                let has_no_gradient = name == "GIoU" && b == [0.3; 4];
                assert!(
                    b == target || has_no_gradient || after < value(b, target, loss_of),
                    "{name} {b:?} {g:?}"
                );
            }
            let empty = value([0.5; 4], [0.5; 4], loss_of);
            assert!(empty.is_finite(), "{name} of two points: {empty}");
        }
    }

    #[test]
    fn gradients_are_the_difference_quotients() {
        let target = tensor(&[[0.1, 0.2, 0.8, 0.9], [0.0, 0.3, 0.3, 1.0], [0.5, 0.5, 0.6, 0.6]]);
        let predicted = [0.3, 0.1, 0.85, 0.5, 0.9, 0.8, 0.2, 0.1, 0.1, 0.15, 0.3, 0.4];
        for loss in [giou as Loss, diou] {
            check_gradient(&predicted, &[3, 4], |b| loss(b, &target));
        }
        // α is constant in the gradient: the difference quotient uses the α of the unchanged boxes.
        let at = Tensor::from_slice(&predicted, (3, 4), &Device::Cpu).unwrap();
        let iou = |b: &Tensor| {
            let (a, t) = (Edges::ordered(b).unwrap(), Edges::ordered(&target).unwrap());
            let overlap_sides = (smaller(&a.high, &t.high).unwrap() - larger(&a.low, &t.low).unwrap())
                .unwrap()
                .relu()
                .unwrap();
            let area = |s: &Tensor| {
                (s.narrow(1, 0, 1).unwrap() * s.narrow(1, 1, 1).unwrap()).unwrap().squeeze(1).unwrap()
            };
            let (i, sides) =
                (area(&overlap_sides), (area(&a.sides().unwrap()) + area(&t.sides().unwrap())).unwrap());
            (&i / ((sides - &i).unwrap() + EPSILON).unwrap()).unwrap()
        };
        let v = |b: &Tensor| {
            let angle = |e: &Edges| {
                let s = (e.sides().unwrap() + SIDE_EPSILON).unwrap();
                arctan(
                    &(s.narrow(1, 0, 1).unwrap() / s.narrow(1, 1, 1).unwrap()).unwrap().squeeze(1).unwrap(),
                )
                .unwrap()
            };
            let d = (angle(&Edges::ordered(b).unwrap()) - angle(&Edges::ordered(&target).unwrap())).unwrap();
            (d.sqr().unwrap() * (4.0 / (PI * PI))).unwrap()
        };
        let alpha = (v(&at) / ((1.0 - iou(&at)).unwrap() + v(&at)).unwrap()).unwrap();
        let with_constant_alpha = |b: &Tensor| diou(b, &target)? + (&alpha * v(b))?.mean_all()?;
        check_gradient(&predicted, &[3, 4], with_constant_alpha);
        let gradient = |loss: &dyn Fn(&Tensor) -> Result<Tensor, Error>| {
            let var = candle_core::Var::from_tensor(&at).unwrap();
            let grads = loss(&var).unwrap().backward().unwrap();
            grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
        };
        let (a, b) = (gradient(&with_constant_alpha), gradient(&|b| ciou(b, &target)));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
    }

    #[test]
    fn arctan_equals_the_standard_library() {
        for x in [0.0, 1e-6, 0.3, 1.0, 2.5, 40.0, 1e4, 1e9] {
            let got: f64 = arctan(&Tensor::new(x, &Device::Cpu).unwrap()).unwrap().to_scalar().unwrap();
            assert!((got - f64::atan(x)).abs() < 1e-11, "arctan {x}: {got}");
        }
    }
}

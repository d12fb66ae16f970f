//! Mean and maximum of a map inside a box.

use candle_core::{D, Result, Tensor};
use loc_net::ops::RegionPool;

use super::LayerImpl;
use crate::ModelError;
use crate::export::{LastNode, LayerNodes, int, ints, size};

/// Returns how much of each of `n` columns or rows lies between the edges `edge` and `edge + 2` of the boxes, `[N, n]`.
fn covered(boxes: &Tensor, edge: usize, n: usize) -> Result<Tensor> {
    let (a, b) = (boxes.narrow(1, edge, 1)?, boxes.narrow(1, edge + 2, 1)?);
    let (from, to) = ((a.minimum(&b)? * n as f64)?, (a.maximum(&b)? * n as f64)?);
    let cells: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let starts = Tensor::from_vec(cells, (1, n), boxes.device())?.to_dtype(boxes.dtype())?;
    let overlap = to.broadcast_minimum(&(&starts + 1.0)?)? - from.broadcast_maximum(&starts)?;
    overlap?.maximum(0.0)? + RegionPool::EPSILON
}

impl LayerImpl for RegionPool {
    /// x `[N, C, h, w]`, boxes `[N, 4]`; the result is `[N, C]`, or `[N, 2·C]` with the maxima.
    fn compose(&self, inputs: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (n, channels, h, w) = inputs[0].dims4()?;
        let boxes = inputs[1].detach();
        let rows = covered(&boxes, 1, h)?.unsqueeze(2)?; // [N, h, 1]
        let columns = covered(&boxes, 0, w)?.unsqueeze(1)?; // [N, 1, w]
        let coverage = rows.broadcast_mul(&columns)?.reshape((n, 1, h * w))?;
        let cells = inputs[0].reshape((n, channels, h * w))?.broadcast_mul(&coverage)?;
        let means = cells.sum(D::Minus1)?.broadcast_div(&coverage.sum(D::Minus1)?)?;
        if !self.max {
            return Ok(means);
        }
        Tensor::cat(&[means, cells.max(D::Minus1)?], 1)
    }

    /// Fixed grids make the covered parts of rows and columns products of matrices with the box.
    fn onnx(&self, nodes: &mut LayerNodes) -> std::result::Result<LastNode, ModelError> {
        let (channels, h, w) = nodes.input_shape.chw().unwrap_or_default();
        let columns = covered_nodes(nodes, "columns", 0, w)?; // [N, w]
        let rows = covered_nodes(nodes, "rows", 1, h)?; // [N, h]
        let (down, across) =
            (nodes.sizes("down", &[-1, size(h)?, 1]), nodes.sizes("across", &[-1, 1, size(w)?]));
        let rows = nodes.step("Reshape", "rows_down", vec![rows, down], vec![]);
        let columns = nodes.step("Reshape", "columns_across", vec![columns, across], vec![]);
        let coverage = nodes.step("MatMul", "coverage", vec![rows, columns], vec![]); // [N, h, w]
        let (plane, planes) = (
            nodes.sizes("plane", &[-1, 1, size(h * w)?]),
            nodes.sizes("planes", &[-1, size(channels)?, size(h * w)?]),
        );
        let coverage = nodes.step("Reshape", "coverage_plane", vec![coverage, plane], vec![]);
        let x = nodes.step("Reshape", "map_planes", vec![nodes.input(), planes], vec![]);
        let cells = nodes.step("Mul", "cells", vec![x, coverage.clone()], vec![]); // [N, C, h·w]
        let over = || Ok::<_, ModelError>(vec![ints("axes", &[2])?, int("keepdims", 0)]);
        let mean = nodes.step("ReduceMean", "mean", vec![cells.clone()], over()?);
        let share = nodes.step("ReduceMean", "share", vec![coverage], over()?);
        if !self.max {
            return Ok(LastNode::new("Div", vec![mean, share], vec![]));
        }
        let mean = nodes.step("Div", "mean_inside", vec![mean, share], vec![]);
        let largest = nodes.step("ReduceMax", "largest", vec![cells], over()?);
        Ok(LastNode::new("Concat", vec![mean, largest], vec![int("axis", 1)]))
    }
}

/// Adds the nodes of [`covered`]: with −max(a, b) = min(−a, −b), as not every runtime has a maximum of two tensors.
fn covered_nodes(
    nodes: &mut LayerNodes,
    what: &str,
    edge: usize,
    n: usize,
) -> std::result::Result<String, ModelError> {
    let boxes = nodes.inputs[1].clone();
    // Column i of these matrices picks an edge, scaled to cells.
    let picked = |edge: usize, by: f32| -> Vec<f32> {
        (0..4 * n).map(|i| if i / n == edge { by * n as f32 } else { 0.0 }).collect()
    };
    let mut edges = |suffix: &str, by: f32| -> std::result::Result<String, ModelError> {
        let mut both = Vec::new();
        for (i, edge) in [edge, edge + 2].into_iter().enumerate() {
            let matrix = nodes.constant(&format!("{what}_{suffix}_pick{i}"), &[4, n], &picked(edge, by))?;
            both.push(nodes.step(
                "MatMul",
                &format!("{what}_{suffix}{i}"),
                vec![boxes.clone(), matrix],
                vec![],
            ));
        }
        Ok(nodes.step("Min", &format!("{what}_{suffix}"), both, vec![]))
    };
    let (from, minus_to) = (edges("from", 1.0)?, edges("minus_to", -1.0)?);
    let grid = |by: f32, first: usize| -> Vec<f32> { (0..n).map(|i| by * (i + first) as f32).collect() };
    let ends = nodes.constant(&format!("{what}_ends"), &[1, n], &grid(1.0, 1))?;
    let minus_starts = nodes.constant(&format!("{what}_minus_starts"), &[1, n], &grid(-1.0, 0))?;
    let to = nodes.step("Neg", &format!("{what}_to"), vec![minus_to], vec![]);
    let minus_from = nodes.step("Neg", &format!("{what}_minus_from"), vec![from], vec![]);
    let end = nodes.step("Min", &format!("{what}_end"), vec![to, ends], vec![]);
    let minus_start =
        nodes.step("Min", &format!("{what}_minus_start"), vec![minus_from, minus_starts], vec![]);
    let overlap = nodes.step("Add", &format!("{what}_overlap"), vec![end, minus_start], vec![]);
    let overlap = nodes.step("Relu", &format!("{what}_inside"), vec![overlap], vec![]);
    let epsilon = nodes.constant(&format!("{what}_epsilon"), &[1, 1], &[RegionPool::EPSILON as f32])?;
    Ok(nodes.step("Add", &format!("{what}_covered"), vec![overlap, epsilon], vec![]))
}

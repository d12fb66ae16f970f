//! Intra-op parallelism: splits the work of a single photo into stages of tasks for [`crate::parallel::run_stages`].

use std::ops::Range;

use super::FusedPlan;
use super::infer::{BAND, BlockInput};
use super::maps::Maps;
use crate::kernels::conv_block::rows::STRIP;
use crate::kernels::image_input::ImageBatch;
use crate::parallel::{self, DisjointSlice};

/// Pooled rows per task: for row kernels after the first one, and for tile kernels.
const ROWS_PER_TASK: usize = STRIP;
const TILE_ROWS_PER_TASK: usize = 2;

/// One photo, its maps, and the slice that receives its features.
pub(super) struct IntraOp<'a> {
    plan: &'a FusedPlan,
    photo: ImageBatch<'a>,
    /// The output map of each block.
    maps: Vec<DisjointSlice<'a, f32>>,
    /// Tasks of the last convolution.
    last_tasks: usize,
    features: &'a DisjointSlice<'a, f32>,
}

impl<'a> IntraOp<'a> {
    pub(super) fn new(
        plan: &'a FusedPlan,
        photo: ImageBatch<'a>,
        maps: &'a mut Maps,
        features: &'a DisjointSlice<'a, f32>,
    ) -> Self {
        let last = plan.blocks() - 1;
        maps.block_outputs.resize_with(last, Vec::new);
        for (block, map) in maps.block_outputs.iter_mut().enumerate() {
            map.resize(plan.map_len(block), 0.0);
        }
        maps.last_input.resize(plan.map_len(last).max(maps.last_input.len()), 0.0);
        let block_outputs = maps.block_outputs.iter_mut().map(|map| DisjointSlice::new(map));
        Self {
            plan,
            photo,
            maps: block_outputs.chain([DisjointSlice::new(&mut maps.last_input)]).collect(),
            last_tasks: plan.last.tiles().blocks().min(parallel::available()),
            features,
        }
    }

    /// Returns the number of tasks of each stage: one stage for each block, and one for the last convolution's blocks of
    /// output channels.
    pub(super) fn stages(&self) -> Vec<usize> {
        let blocks = (0..self.plan.blocks()).map(|b| self.plan.row_count(b).div_ceil(self.step(b)));
        blocks.chain([self.last_tasks]).collect()
    }

    /// Returns the number of pooled rows that one task of this block computes.
    fn step(&self, block: usize) -> usize {
        match block {
            0 => BAND,
            block if block < self.plan.rows.len() => ROWS_PER_TASK,
            _ => TILE_ROWS_PER_TASK,
        }
    }

    /// Runs one task of one stage.
    pub(super) fn run(&self, stage: usize, task: usize) {
        let blocks = self.plan.blocks();
        if stage < blocks {
            let (step, all) = (self.step(stage), self.plan.row_count(stage));
            self.block(stage, task * step..all.min((task + 1) * step));
        } else {
            self.last(task);
        }
    }

    fn block(&self, block: usize, rows: Range<usize>) {
        let row = self.plan.row_len(block);
        #[expect(unsafe_code, reason = "tasks write rows of one map and read the map before it")]
        // SAFETY: each task writes its own rows; the map before was written by an earlier stage and is only read.
        let (y, before) = unsafe {
            let y = self.maps[block].range(rows.start * row, rows.len() * row);
            let before = match block.checked_sub(1) {
                Some(before) => {
                    let map = self.maps[before].read(0, self.plan.map_len(before));
                    BlockInput::Map(self.plan.view(before, map))
                }
                None => BlockInput::Photo(self.photo),
            };
            (y, before)
        };
        self.plan.maps.with(|maps| self.plan.block(block, before, rows, &mut maps.scratch, y, &mut []));
    }

    /// Computes some blocks of output channels of the last convolution. Each task transforms the whole input: that takes
    /// less time than to read it from the cache of the core that transformed it.
    fn last(&self, task: usize) {
        let (conv, last) = (&self.plan.last, self.plan.blocks() - 1);
        let start = |task: usize| task * conv.tiles().blocks() / self.last_tasks;
        #[expect(unsafe_code, reason = "reads a map that tasks have written")]
        // SAFETY: written by an earlier stage, only read by this one.
        let map = unsafe { self.maps[last].read(0, self.plan.map_len(last)) };
        self.plan.maps.with(|Maps { input, scratch, .. }| {
            conv.input(1, |_| map, input);
            for block in start(task)..start(task + 1) {
                let channels = conv.block_start(block)..conv.block_start(block + 1);
                #[expect(unsafe_code, reason = "tasks write blocks of channels")]
                // SAFETY: each task writes its own blocks of channels.
                let y = unsafe { self.features.range(channels.start, channels.len()) };
                conv.forward(input, block, &mut scratch.tiles, y, conv.out_len(), &mut []);
            }
        });
    }
}

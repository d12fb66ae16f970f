//! One photo on several threads.

use super::super::plan::Step;
use super::super::segment::Segment;
use super::{Activations, Forward};
use crate::Source;
use crate::kernels::image_input::ImageBatch;
use crate::parallel::{DisjointSlice, run_stages};

impl Forward {
    /// Runs one photo on all threads: first the stages of the fused blocks, then one stage for each level.
    pub(super) fn intra_op(&self, fused: &dyn Segment, photo: ImageBatch, activations: &mut Activations) {
        let outputs: Vec<DisjointSlice<f32>> =
            activations.layers.iter_mut().map(|y| DisjointSlice::new(&mut y[..])).collect();
        let tasks = |step: &usize| self.steps[*step].kernel.tasks();
        fused.intra_op(photo, &outputs[fused.layers() - 1], &mut |fused_stages, work| {
            let levels = self.levels.iter().map(|level| level.iter().map(tasks).sum());
            run_stages(self.threads, fused_stages.iter().copied().chain(levels), &|stage, mut task| {
                match stage.checked_sub(fused_stages.len()) {
                    None => work(stage, task),
                    Some(level) => {
                        for step in &self.levels[level] {
                            match task.checked_sub(tasks(step)) {
                                None => return self.run_task(&self.steps[*step], task, &outputs),
                                Some(rest) => task = rest,
                            }
                        }
                    }
                }
            });
        });
    }

    /// Runs one task of a step, for one photo.
    fn run_task(&self, step: &Step, task: usize, outputs: &[DisjointSlice<f32>]) {
        let part = step.kernel.task(task, self.network.shape(step.output).len());
        #[expect(unsafe_code, reason = "tasks write parts of one output and read earlier outputs")]
        // SAFETY: each task writes its own part; the inputs were written by earlier stages and are only read here.
        let (inputs, y) = unsafe {
            let read = |source: &Source| match source {
                Source::Input => &[],
                Source::Layer(before) => outputs[*before].read(0, self.network.shape(*before).len()),
            };
            let inputs: Vec<&[f32]> = step.inputs.iter().map(read).collect();
            (inputs, outputs[step.output].range(part.start, part.len()))
        };
        step.kernel.forward_task(task, &inputs, &self.params_of(step), y);
    }
}

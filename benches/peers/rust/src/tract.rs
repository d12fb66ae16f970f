//! tract: the ONNX file as an optimized plan for each batch size.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::dims;

use crate::inputs::{Inputs, Outputs, PHOTOS, SHAPE};
use crate::{THREADS, Tasks};

type Plan = Arc<TypedRunnableModel>;

pub fn tasks(inputs: &Inputs) -> Result<Tasks> {
    // By default tract uses one thread.
    let executor = tract_linalg::multithread::Executor::multithread(THREADS);
    let mut tasks: Tasks = Vec::new();
    for (name, n) in [("infer_1", 1), ("infer_32", PHOTOS)] {
        let options = RunOptions { executor: Some(executor.clone()), ..Default::default() };
        let plan = tract_onnx::onnx()
            .model_for_path(inputs.file("model.onnx"))?
            .with_input_fact(0, f32::fact(dims!(n, SHAPE[0], SHAPE[1], SHAPE[2])).into())?
            .into_optimized()?
            .into_runnable_with_options(&options)?;
        let batch: TValue = Tensor::from_shape(&[&[n], &SHAPE[..]].concat(), inputs.batch(n))?.into();
        inputs.check(&infer(&plan, &batch)?)?;
        tasks.push((
            name,
            Box::new(move || {
                black_box(infer(&plan, &batch)?);
                Ok(())
            }),
        ));
    }
    Ok(tasks)
}

fn infer(plan: &Plan, batch: &TValue) -> Result<Outputs> {
    let outputs = plan.run(tvec![batch.clone()])?;
    let values = |i: usize| -> Result<Vec<f32>> { Ok(outputs[i].try_as_plain_ram()?.as_slice()?.to_vec()) };
    Ok(Outputs { cls: values(0)?, loc: values(1)? })
}

//! Temporary.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use candle_core::{Device, Tensor};
use loc_model::loss::LossConfig;
use loc_model::{Model, init};
use loc_net::{InputShape, NetworkConfig, Normalization};
use std::time::Instant;
fn main() {
    let k: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let device = Device::Cpu;
    let net = NetworkConfig::five_conv(InputShape { height: 256, width: 256 }, 2)
        .build(&Normalization::IDENTITY)
        .unwrap();
    let model = Model::new(net.clone(), &init::weights(&net, init::Scheme::PyTorch, 0), &device).unwrap();
    let photos = Tensor::rand(0f32, 1.0, (32, 3, 256, 256), &device).unwrap();
    let labels = Tensor::from_iter((0..32).map(|i| i as u32 % 2), &device).unwrap();
    let boxes = Tensor::rand(0f32, 1.0, (32, 4), &device).unwrap();
    for i in 0..k + 2 {
        let t0 = Instant::now();
        let output = model.forward(&photos).unwrap();
        let losses = LossConfig::default().compute(&output, &labels, &boxes).unwrap();
        let t1 = Instant::now();
        let grads = losses.total.backward().unwrap();
        let t2 = Instant::now();
        for var in model.vars().values() {
            let grad = grads.get(var.as_tensor()).unwrap();
            var.set(&(var.as_tensor() - (grad * 0.1).unwrap()).unwrap()).unwrap();
        }
        drop((output, losses, grads));
        let t3 = Instant::now();
        let ms = |a: Instant, b: Instant| (b - a).as_secs_f64() * 1e3;
        if i >= 2 {
            println!(
                "{:.1} fwd {:.1} bwd {:.1} upd+drop {:.1}",
                ms(t0, t3),
                ms(t0, t1),
                ms(t1, t2),
                ms(t2, t3)
            );
        }
    }
}

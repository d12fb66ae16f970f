//! Predicts one photo: `cargo run --release --example minimal -- model.safetensors photo.jpg`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program may print")]

use std::process::ExitCode;

use loc_infer::{Answer, Localizer};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, photo] = &args[..] else {
        eprintln!("usage: minimal MODEL PHOTO");
        return ExitCode::from(2);
    };
    match Localizer::load(model).and_then(|localizer| localizer.predict_path(photo)) {
        Ok(Answer::Absent(absent)) => {
            println!("no object {:.3}", absent.presence);
            ExitCode::SUCCESS
        }
        Ok(Answer::Found(found)) => {
            let b = found.bbox;
            println!("{} {:.3}", found.name, found.confidence);
            println!("{:.1} {:.1} {:.1} {:.1} in {}×{}", b.x1, b.y1, b.x2, b.y2, found.width, found.height);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

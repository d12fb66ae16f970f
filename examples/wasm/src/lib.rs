//! loc-infer as a WebAssembly module: four functions, no generator of bindings. `loc.mjs` calls them.
//!
//! The caller writes a file into [`input`], calls [`load`] or [`predict`], and reads JSON from [`output`]. The attribute of the
//! exported names is the only `unsafe`: no other library of the module may have these names.

use std::cell::RefCell;

use loc_infer::{Answer, Error, Localizer};
use serde_json::{Value, json};

// A module has one thread.
thread_local! {
    static MODEL: RefCell<Option<Localizer>> = const { RefCell::new(None) };
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Returns the address of `length` bytes for the file that the next call reads.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        *input = vec![0; length];
        input.as_mut_ptr()
    })
}

/// Loads the model file in [`input`]. Returns the length of the JSON at [`output`]: the classes, or an error.
#[unsafe(no_mangle)]
pub extern "C" fn load() -> usize {
    answer(|file| {
        let model = Localizer::from_bytes(file)?;
        let classes = json!({ "classes": model.meta().classes });
        MODEL.set(Some(model));
        Ok(classes)
    })
}

/// Predicts the photo in [`input`]. Returns the length of the JSON at [`output`]: the prediction, or an error.
#[unsafe(no_mangle)]
pub extern "C" fn predict() -> usize {
    answer(|photo| {
        MODEL.with_borrow(|model| match model {
            Some(model) => Ok(prediction(&model.predict_encoded(photo)?)),
            None => Ok(json!({ "error": "no model is loaded" })),
        })
    })
}

/// Returns the address of the JSON that the last call wrote, in UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// The keys of `loc predict --format jsonl`.
fn prediction(answer: &Answer) -> Value {
    match answer {
        Answer::Found(found) => {
            let b = found.bbox;
            json!({
                "width": found.width,
                "height": found.height,
                "name": found.name,
                "class": found.class,
                "confidence": found.confidence,
                "box": { "x1": b.x1, "y1": b.y1, "x2": b.x2, "y2": b.y2 },
            })
        }
        Answer::Absent(absent) => {
            json!({ "width": absent.width, "height": absent.height, "presence": absent.presence })
        }
    }
}

/// Calls `f` with the input, which is freed after it, and stores its answer.
fn answer(f: impl FnOnce(&[u8]) -> Result<Value, Error>) -> usize {
    let input = INPUT.take();
    let value = f(&input).unwrap_or_else(|error| json!({ "error": error.to_string() }));
    OUTPUT.with_borrow_mut(|output| {
        *output = value.to_string();
        output.len()
    })
}

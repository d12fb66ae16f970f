//! Tests that a run of the previous release can be resumed: its `config.toml` and its state have the old names of keys.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fixture, last, resume_run, stop_after};
use loc_net::WeightFile;
use loc_train::{Config, Run};
use sha2::{Digest, Sha256};

/// Returns a configuration as the previous release wrote it: with the old names, without new keys.
fn with_old_names(text: &str) -> String {
    let mut table: toml::Table = text.parse().unwrap();
    for key in Config::KEYS {
        if key.is_new {
            table.remove(key.name);
        }
        if let (Some(old), Some(value)) = (key.old_name, table.get(key.name).cloned()) {
            table.remove(key.name);
            table.insert(old.to_owned(), value);
        }
    }
    table.to_string()
}

/// Rewrites the state of a run as the previous release wrote it.
fn convert_state_to_previous_release(run: &Run) {
    let WeightFile { weights, metadata } = WeightFile::parse(&fs_err::read(run.state()).unwrap()).unwrap();
    let mut envelope: serde_json::Value = serde_json::from_str(&metadata.unwrap()).unwrap();
    let mut saved: serde_json::Value = serde_json::from_str(envelope["saved"].as_str().unwrap()).unwrap();
    let config = saved["origin"]["config"].as_str().unwrap();
    assert!(config.contains("ema_decay"), "{config}");
    saved["origin"]["config"] = with_old_names(config).into();
    let decode = saved["origin"].as_object_mut().unwrap().remove("decode");
    assert_eq!(decode, Some("reduced".into()));
    let saved = saved.to_string();
    let mut digest = Sha256::new();
    let part = |bytes: &[u8], digest: &mut Sha256| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    part(saved.as_bytes(), &mut digest);
    for (name, weight) in &weights.0 {
        part(name.as_bytes(), &mut digest);
        part(format!("{:?}", weight.shape).as_bytes(), &mut digest);
        weight.data.iter().for_each(|v| digest.update(v.to_le_bytes()));
    }
    let digest = hex::encode(digest.finalize());
    envelope["saved"] = saved.into();
    envelope["sha256"] = digest.into();
    let bytes = loc_model::weights::to_bytes(&weights, Some(&envelope.to_string())).unwrap();
    fs_err::write(run.state(), bytes).unwrap();
}

#[test]
fn a_run_of_the_previous_release_is_resumed_to_the_same_bytes() {
    let fixture = Fixture::new();
    let keys = [
        ("ema_decay", "0.9"),
        ("weight_interpolation", "0.25"),
        ("clip_grad_norm", "1.0"),
        ("min_steps", "4"),
        ("epochs", "2"),
    ];
    let uninterrupted = fixture.train("uninterrupted", &keys).unwrap().run;
    let run = stop_after(&fixture, "stopped", &keys, 2);
    let config = with_old_names(&fs_err::read_to_string(run.config()).unwrap());
    for old in ["average = 0.9", "begin_share = 0.25", "clip = 1.0", "least_steps = 4"] {
        assert!(config.contains(old), "{config}");
    }
    fs_err::write(run.config(), config).unwrap();
    convert_state_to_previous_release(&run);
    resume_run(&run, &[]).unwrap();
    let [resumed, expected] =
        [last(&run), last(&uninterrupted)].map(|file| WeightFile::parse(&file).unwrap());
    assert!(resumed.weights == expected.weights, "the resumed run has other weights");
    // It decodes photos as it did before; these are too small for a difference.
    let expected = expected.metadata.unwrap().replace(r#","decode":"reduced""#, "");
    assert_eq!(resumed.metadata.unwrap(), expected);
    let config = fs_err::read_to_string(run.config()).unwrap();
    assert!(config.contains("ema_decay = 0.9") && !config.contains("average ="), "{config}");
}

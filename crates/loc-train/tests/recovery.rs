//! Tests the files of a run after damage, killed processes and concurrent trainings.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};

use common::{Fixture, full_message, last, resume_run, resume_with_warnings, stop_after};
use fs_err as fs;
use loc_train::{
    Config, ConfigSource, Event, Provenance, ResumeOptions, Run, RunLocation, Status, Stop, resume, train,
};
use sha2::{Digest, Sha256};

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

/// Changes a byte in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Returns the names of a run's files, including hidden ones.
fn names(run: &Run) -> Vec<String> {
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        entries.collect::<Vec<_>>()
    };
    let mut names = [list(run.path()), list(&run.weights())].concat();
    names.sort();
    names
}

#[test]
fn after_a_damaged_state_the_previous_one_is_used_and_the_bytes_are_the_same() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[]).unwrap().run;
    // Saves: after epoch 1, and after step 5, in epoch 2.
    let run = stop_after(&fixture, "damaged", &[], 5);
    damage(&run.state());
    let (outcome, warnings) = resume_with_warnings(&run).unwrap();
    let text = warnings.join("\n");
    assert!(
        text.contains("last.state.safetensors: is damaged") && text.contains("after epoch 1, step 0"),
        "{text}"
    );
    let hashes = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64).count();
    assert_eq!(hashes, 2, "both hashes: {text}");
    assert!(last(&outcome.run) == last(&uninterrupted), "from the previous state the model has other bytes");
    assert_eq!(fs::read(run.best()).unwrap(), fs::read(uninterrupted.best()).unwrap());
    let (done, warnings) = (resume_run(&run, &[]).unwrap_err().to_string(), run.status().unwrap());
    assert!(done.contains("all 2 epochs are done"), "{done}");
    assert_eq!(warnings, Status::Finished);
}

#[test]
fn a_damaged_model_file_is_named_with_both_hashes_and_written_again() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[]).unwrap().run;
    for (file, remedy) in [(run.last(), "from the state"), (run.best(), "anew from")] {
        let intact_sha256 = sha256(&file);
        damage(&file);
        let changed = sha256(&file);
        let mut warnings = Vec::new();
        let error = resume(run.clone(), &[], ResumeOptions::default(), &Stop::default(), &mut |event| {
            if let loc_train::Event::Warning(text) = event {
                warnings.push(text);
            }
        });
        assert!(error.unwrap_err().to_string().contains("are done"));
        let text = warnings.concat();
        let name = file.file_name().unwrap().to_str().unwrap();
        for part in [name, &intact_sha256, &changed, remedy] {
            assert!(text.contains(part), "no {part:?} in {text:?}");
        }
        assert_eq!(sha256(&file), intact_sha256, "{name} was not restored");
    }
}

#[test]
fn a_save_interrupted_after_any_file_is_completed_without_a_warning() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[("keep", "last:1")]).unwrap().run;
    assert!(!uninterrupted.epoch(1).exists() && uninterrupted.epoch(2).is_file(), "keep is last:1");
    // The files after epoch 1.
    let one = stop_after(&fixture, "one", &[("keep", "last:1")], 3);
    type Files = fn(&Run) -> Vec<std::path::PathBuf>;
    // For each point in the order of a save, the files that are written after it.
    let after: [(&str, Files); 5] = [
        ("the old state renamed, the new one missing", |run| {
            vec![run.results(), run.last(), run.epoch(2), run.best()]
        }),
        ("the state", |run| vec![run.results(), run.last(), run.epoch(2), run.best()]),
        ("results.csv", |run| vec![run.last(), run.epoch(2), run.best()]),
        ("last", |run| vec![run.epoch(2), run.best()]),
        ("the epoch's file", |run| vec![run.best()]),
    ];
    for (point, files) in after {
        let run = fixture.train("interrupted", &[("keep", "last:1")]).unwrap().run;
        for (file, old) in files(&run).iter().zip(files(&one)) {
            // The file of epoch 1, or no file if there was none.
            if old.exists() { fs::copy(old, file).map(drop) } else { fs::remove_file(file) }.unwrap();
        }
        if point.starts_with("the old state") {
            fs::remove_file(run.state()).unwrap();
        }
        let mut warnings = Vec::new();
        let result = resume(run.clone(), &[], ResumeOptions::default(), &Stop::default(), &mut |event| {
            if let loc_train::Event::Warning(text) = event {
                warnings.push(text);
            }
        });
        assert_eq!(result.is_ok(), point.starts_with("the old state"), "{point}");
        assert_eq!(warnings, [""; 0], "{point}");
        for file in [Run::last, Run::best] {
            assert_eq!(sha256(&file(&run)), sha256(&file(&uninterrupted)), "{point}");
        }
        assert_eq!(sha256(&run.epoch(2)), sha256(&uninterrupted.epoch(2)), "{point}");
        assert_eq!(run.rows().unwrap().len(), 2, "{point}");
    }
}

#[test]
fn a_run_killed_before_its_first_save_restarts_with_the_same_bytes() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[]).unwrap().run;
    let bytes = last(&run);
    fs::remove_dir_all(run.weights()).unwrap();
    fs::create_dir(run.weights()).unwrap();
    fs::remove_file(run.results()).unwrap();
    let again = resume_run(&run, &[]).unwrap();
    assert!(last(&again.run) == bytes, "restarted, the model has other bytes");
}

#[test]
fn if_all_states_are_damaged_the_error_lists_the_remaining_models() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[]).unwrap().run;
    damage(&run.state());
    damage(&run.previous_state());
    let before = names(&run);
    let message = full_message(&resume_run(&run, &[("epochs", "3")]).unwrap_err());
    for part in
        ["last.state.safetensors", "previous.state.safetensors", "StartFrom(", "epoch-002.safetensors"]
    {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert_eq!(names(&run), before);
    fs::remove_file(run.state()).unwrap();
    fs::remove_file(run.previous_state()).unwrap();
    let message = full_message(&resume_run(&run, &[("epochs", "3")]).unwrap_err());
    assert!(message.contains("is not there") && message.contains("StartFrom("), "{message}");
}

/// A file that cannot be read may be intact: it is not replaced, and the run continues from it when it can be read.
#[test]
#[cfg(unix)]
fn a_state_that_cannot_be_read_is_an_error_and_is_kept() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[]).unwrap().run;
    let run = stop_after(&fixture, "unreadable", &[], 5);
    let (state, moved_state) = (run.state(), run.path().join("aside"));
    let previous = sha256(&run.previous_state());
    // Reading them gives EISDIR, ELOOP and, on Linux, EIO.
    let device = PathBuf::from("/proc/self/mem");
    for (what, link) in
        [("a folder", None), ("a link to itself", Some(&state)), ("a device that fails", Some(&device))]
    {
        if link == Some(&device) && !device.exists() {
            skip::say(skip::Reason::Proc, "/proc has no file that fails on reading");
            continue;
        }
        fs::rename(&state, &moved_state).unwrap();
        match link {
            None => fs::create_dir(&state).unwrap(),
            Some(to) => std::os::unix::fs::symlink(to, &state).unwrap(),
        }
        let error = resume_run(&run, &[]).unwrap_err();
        let message = full_message(&error);
        for part in ["last.state.safetensors: cannot be read", "nothing was changed", "MakeReadable"] {
            assert!(message.contains(part), "{what}: no {part:?} in {message}");
        }
        assert!(!error.is_usage(), "{what}");
        assert!(state.symlink_metadata().is_ok(), "{what}: the state was moved");
        assert_eq!(sha256(&run.previous_state()), previous, "{what}: the previous state was moved");
        if state.symlink_metadata().unwrap().is_dir() {
            fs::remove_dir(&state)
        } else {
            fs::remove_file(&state)
        }
        .unwrap();
        fs::rename(&moved_state, &state).unwrap();
    }
    let outcome = resume_run(&run, &[]).unwrap();
    assert!(last(&outcome.run) == last(&uninterrupted), "the model has other bytes");
}

/// A state that is valid safetensors with invalid JSON is a damaged state, not a usage error.
#[test]
fn invalid_json_in_a_state_is_damage() {
    let fixture = Fixture::new();
    let uninterrupted = fixture.train("uninterrupted", &[]).unwrap().run;
    for (i, (from, to)) in [
        ("\"format\":2", "\"format\":x"),
        ("\"format\":2", "\"formal\":2"),
        ("\\\"epoch\\\"", "\\\"epos\\\""),
    ]
    .into_iter()
    .enumerate()
    {
        let run = stop_after(&fixture, &format!("json-{i}"), &[], 5);
        let state = loc_model::weights::load(&run.state()).unwrap();
        let metadata = state.metadata.unwrap();
        let changed = metadata.replacen(from, to, 1);
        assert_ne!(changed, metadata, "{from}");
        let bytes = loc_model::weights::to_bytes(&state.weights, Some(&changed)).unwrap();
        fs::write(run.state(), &bytes).unwrap();
        let (outcome, warnings) = resume_with_warnings(&run).unwrap();
        assert!(warnings.concat().contains("it goes on from the save before"), "{warnings:?}");
        assert!(
            last(&outcome.run) == last(&uninterrupted),
            "from the previous state the model has other bytes"
        );
        // With both states damaged it is an error, but not a usage error.
        fs::write(run.state(), &bytes).unwrap();
        fs::write(run.previous_state(), &bytes).unwrap();
        let error = resume_run(&run, &[("epochs", "3")]).unwrap_err();
        assert!(error.to_string().contains("no state of it is intact") && !error.is_usage(), "{error}");
    }
}

#[test]
fn a_run_is_resumed_without_the_file_of_its_recipe() {
    let fixture = Fixture::new();
    let recipe = fixture.path("mine.toml");
    fs::write(
        &recipe,
        "batch = 5\nlr = 0.02\nrestarts = [1]\n[augment]\nflip = 0.5\n[expect.shapes]\naccuracy = 0.1\n",
    )
    .unwrap();
    let name = recipe.display().to_string();
    let data = fixture.path("shapes").display().to_string();
    let flags = [("data", &*data), ("imgsz", "188"), ("epochs", "2")];
    let layers: Vec<ConfigSource> =
        flags.iter().map(|(key, value)| ConfigSource::value("flag", key, value)).collect();
    let config = Config::resolve(Some(&name), &layers).unwrap().config;
    assert_eq!((config.batch, &config.recipe), (5, &name));
    let provenance =
        Provenance { version: "0".into(), arguments: Vec::new(), threads: 2, ..Default::default() };
    let mut runs = ["uninterrupted", "stopped"].map(|run| {
        let (stop, mut steps) = (Stop::default(), 0);
        let outcome = train(
            &config,
            RunLocation { project: &fixture.path("runs"), name: run, exist_ok: false },
            &provenance,
            &stop,
            &mut |event| {
                steps += usize::from(matches!(event, Event::Step { .. }));
                if run == "stopped" && steps == 3 {
                    stop.request();
                }
            },
        );
        outcome.unwrap().run
    });
    fs::remove_file(&recipe).unwrap();
    runs[1] = resume_run(&runs[1], &[]).unwrap().run;
    assert!(last(&runs[0]) == last(&runs[1]), "the model has other bytes");
    // `--config` with the run's file repeats the run.
    let text = fs::read_to_string(runs[0].config()).unwrap();
    let again = Config::resolve(None, &[ConfigSource::toml("config.toml", text)]).unwrap().config;
    assert_eq!(again.result_affecting(), config.result_affecting());
    let message = Config::resolve(Some(&name), &layers).unwrap_err();
    assert!(message.to_string().contains("mine.toml") && message.is_usage(), "{message}");
}

#[test]
fn the_error_of_a_second_training_names_the_process_that_has_the_run() {
    let fixture = Fixture::new();
    let (mut messages, mut files_during_run) = (Vec::new(), None);
    let project = fixture.path("runs");
    let outcome = fixture.train_until("exp", &[("epochs", "1")], &mut |event, _| {
        if let loc_train::Event::Step { step: 1, .. } = event {
            let run = Run::open(project.join("exp")).unwrap();
            messages.push(resume_run(&run, &[]).unwrap_err().to_string());
            let provenance = loc_train::Provenance {
                version: "0".into(),
                arguments: Vec::new(),
                threads: 1,
                ..Default::default()
            };
            let (config, place) =
                (fixture.config(&[]), RunLocation { project: &project, name: "exp", exist_ok: true });
            let again = loc_train::train(&config, place, &provenance, &Stop::default(), &mut |_| {});
            messages.push(again.unwrap_err().to_string());
            files_during_run = Some(names(&run));
        }
    });
    outcome.unwrap();
    for message in &messages {
        assert!(message.contains(&format!("locked by pid {} since 2", std::process::id())), "{message}");
    }
    assert_eq!(messages.len(), 2);
    assert!(
        files_during_run.unwrap().contains(&"config.toml".to_owned()),
        "the failed training removed nothing"
    );
}

#[test]
fn only_temporary_files_of_a_stopped_run_are_removed() {
    let fixture = Fixture::new();
    let run = stop_after(&fixture, "exp", &[], 2);
    let temporaries =
        [".last.safetensors.Ab12Cd", ".last.state.safetensors.000000", ".epoch-001.safetensors.zzzzzz"];
    let others = [".last.safetensors.saved-by-me", ".mine.safetensors.Ab12Cd", "notes.txt"];
    for name in temporaries.iter().chain(&others) {
        fs::write(run.weights().join(name), "").unwrap();
    }
    fs::write(run.path().join(".results.csv.Q1w2E3"), "").unwrap();
    resume_run(&run, &[]).unwrap();
    let names = names(&run);
    assert!(others.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    assert!(!temporaries.iter().any(|name| names.contains(&(*name).to_owned())), "{names:?}");
    assert!(!names.contains(&".results.csv.Q1w2E3".to_owned()), "{names:?}");
}

#[test]
fn the_latest_run_is_the_one_started_last_even_if_the_clock_was_wrong() {
    let fixture = Fixture::new();
    let project = fixture.path("runs");
    let old = fixture.train("old", &[("epochs", "1")]).unwrap().run;
    // Its clock was a century ahead.
    let json = fs::read_to_string(old.json()).unwrap();
    let started = json.lines().find(|line| line.contains("\"started\"")).unwrap();
    fs::write(old.json(), json.replace(started, "  \"started\": 4922899200,")).unwrap();
    let new = fixture.train("new", &[("epochs", "1")]).unwrap().run;
    assert_eq!(Run::latest(&project).unwrap(), new);
    // A folder left by a killed process before it was a complete run is not a run.
    fs::create_dir(project.join("half")).unwrap();
    fs::copy(new.json(), project.join("half/run.json")).unwrap();
    assert_eq!(Run::latest(&project).unwrap(), new);
}

#[test]
fn the_error_for_a_state_of_a_newer_loc_names_the_version() {
    let fixture = Fixture::new();
    let run = fixture.train("exp", &[("epochs", "1")]).unwrap().run;
    let state = loc_model::weights::load(&run.state()).unwrap();
    let metadata = state.metadata.unwrap().replace("\"format\":2", "\"format\":3").replace("0.1.0", "7.0.0");
    let bytes = loc_model::weights::to_bytes(&state.weights, Some(&metadata)).unwrap();
    fs::write(run.state(), bytes).unwrap();
    let message = full_message(&resume_run(&run, &[("epochs", "2")]).unwrap_err());
    assert!(message.contains("needs loc >= 7.0.0"), "{message}");
}

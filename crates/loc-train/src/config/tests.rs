//! What the configuration promises: every key from every source, the order of sources, and errors that say where.

use std::path::Path;

use loc_data::keys::{Key, Kind};
use loc_model::loss::ClassLoss;

use crate::config::{CheckpointRetention, Config, ConfigSource, HeadWarmup, RECIPES};
use crate::error::TrainError;

/// An error's message and its remedy.
fn said(error: &TrainError) -> String {
    format!("{error} {:?}", error.remedy())
}

fn file(text: &str) -> ConfigSource {
    ConfigSource::toml("loc.toml", text)
}

#[test]
fn a_file_that_is_no_configuration_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loc.toml");
    let said = |bytes: &[u8]| {
        fs_err::write(&path, bytes).unwrap();
        ConfigSource::file(&path).map(|layer| layer.text).map_err(|e| said(&e))
    };
    for (bytes, expected) in [
        (
            &b"\xff\xd8\xff\xe0\0\x10JFIF"[..],
            "loc.toml: is a JPEG photo, not a configuration in TOML Some(GiveSettings)",
        ),
        (b"{\"epochs\": 3}", "loc.toml: is JSON, not a configuration in TOML"),
        (b"<html>", "loc.toml: is a web page (HTML), not a configuration in TOML"),
        (b"epochs = 3 # K\xe4fer", "loc.toml: is not UTF-8 Some(SaveAsUtf8)"),
        (b"\xff\xfee\0p\0", "loc.toml: is not UTF-8"),
    ] {
        let message = said(bytes).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(said(b"\xef\xbb\xbfepochs = 3\n").unwrap(), "epochs = 3\n");
    assert_eq!(said(b"[augment]\n").unwrap(), "[augment]\n");
}

#[test]
fn every_recipe_resolves_and_repeats_itself() {
    for (name, _) in RECIPES {
        let config = Config::resolve(Some(name), &[]).unwrap().config;
        assert_eq!(config.recipe, name);
        let written = ConfigSource::toml("config.toml", toml::to_string(&config).unwrap());
        let again = Config::resolve(Some(name), &[written]).unwrap().config;
        assert_eq!(again.result_affecting(), config.result_affecting());
        assert_eq!(again.digest(), config.digest());
    }
}

#[test]
fn later_layers_win() {
    let layers = [
        file("epochs = 5\nbatch = 8"),
        ConfigSource::value("LOC_BATCH", "batch", "9"),
        ConfigSource::value("--data", "data", "some/folder"),
        ConfigSource::value("--keep", "keep", "last:3"),
    ];
    let config = Config::resolve(Some("tutorial"), &layers).unwrap().config;
    assert_eq!((config.epochs, config.batch, config.lr), (5, 9, 0.1));
    assert_eq!(config.data.as_deref(), Some(Path::new("some/folder")));
    assert_eq!(config.keep, CheckpointRetention::Last(3));
    assert_eq!(config.class_loss, ClassLoss::CrossEntropyOnProbabilities);
}

#[test]
fn what_is_said_of_other_data_is_not_said_of_these() {
    let recorded = "data = \"a.csv\"\ndata_format = \"csv\"\ncolumns = [\"filename\"]\nclass = \"cat\"";
    let read = |layers: &[ConfigSource]| {
        let config = Config::resolve(Some("tutorial"), layers).unwrap().config;
        (config.data_format, config.columns.map(|c| c.len()), config.class)
    };
    let data = |path: &str| ConfigSource::value("--data", "data", path);
    let all = (Some("csv".into()), Some(1), Some("cat".into()));
    assert_eq!(read(&[file(recorded)]), all);
    assert_eq!(read(&[file(recorded), data("a.csv")]), all);
    assert_eq!(read(&[file(recorded), data("b")]), (None, None, None));
    let class = ConfigSource::value("--class", "class", "dog");
    assert_eq!(read(&[file(recorded), data("b"), class]), (None, None, Some("dog".into())));
    assert_eq!(read(&[file("class = \"cat\""), data("b")]), (None, None, Some("cat".into())));
}

fn environment(name: &str, value: &str) -> Result<Vec<ConfigSource>, TrainError> {
    let others = [("PATH", "/bin"), ("LOC_SHARED", "../shared"), (name, value)];
    ConfigSource::environment(others.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// A value of a key that is not its default, as people write it and in TOML.
fn sample(name: &str, key: &Key) -> (String, String) {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let default =
        name.split('.').try_fold(&toml::Value::Table(defaults), |value, part| value.get(part)).cloned();
    let quoted = |text: &str| (text.to_owned(), format!("\"{text}\""));
    let in_range = |number: &&f64| key.range.is_none_or(|range| range.contains(**number));
    let number = *[0.5, 3.0, 2.0].iter().find(in_range).unwrap();
    let whole = *[3.0, 2.0].iter().find(in_range).unwrap_or(&3.0);
    let texts = if key.texts.is_empty() { (key.kind)().variants() } else { key.texts };
    if let Some(text) = texts.iter().find(|text| default.as_ref().and_then(toml::Value::as_str) != Some(text))
    {
        return quoted(text);
    }
    match (key.kind)() {
        Kind::Bool => ("true".into(), "true".into()),
        Kind::Whole => (whole.to_string(), whole.to_string()),
        Kind::Number => (number.to_string(), format!("{number:?}")),
        Kind::List(each) if *each == Kind::Whole => ("3, 4".into(), "[3, 4]".into()),
        Kind::List(each) if *each == Kind::Number => (format!("{number}, 1.5"), format!("[{number:?}, 1.5]")),
        Kind::List(_) => ("cat, dog".into(), "[\"cat\", \"dog\"]".into()),
        Kind::Table => ("{ flip = 0.5 }".into(), "{ flip = 0.5 }".into()),
        _ if name == "keep" => quoted("last:3"),
        _ => quoted("some text"),
    }
}

#[test]
fn every_key_can_be_set_in_the_environment_and_by_name_as_in_a_file() {
    for (name, key) in Config::keys() {
        let (written, in_toml) = sample(&name, key);
        let variable = format!("LOC_{}", name.to_uppercase().replace('.', "_"));
        let sources = [
            file(&format!("{name} = {in_toml}")),
            environment(&variable, &written).unwrap().remove(0),
            ConfigSource::setting("--set", &format!("{name}={written}")).unwrap(),
            ConfigSource::setting("--set", &format!("{name} = {in_toml}")).unwrap(),
        ];
        // What the values may be together is another matter: not checked.
        let [by_file, others @ ..] = sources.map(|s| Config::overlay(std::iter::once(&s)).unwrap().config);
        assert_ne!(by_file, Config::default(), "{name}");
        assert!(others.iter().all(|other| *other == by_file), "{name}={written}: {others:?}");
    }
}

/// What the release before called its keys, with values.
const OLD: &str = "
begin = \"transfer\"
begin_share = 0.25
features_weight = 0.5
average = 0.9
still_epochs = 2
least_steps = 7
clip = 1.5
";

#[test]
fn names_of_the_release_before_are_read_with_a_warning() {
    let new = Config {
        head_warmup: Some(HeadWarmup::Recipe("transfer".into())),
        weight_interpolation: 0.25,
        feature_distill_weight: 0.5,
        ema_decay: 0.9,
        no_augment_epochs: 2,
        min_steps: 7,
        clip_grad_norm: 1.5,
        ..Config::resolve(Some("finetune"), &[]).unwrap().config
    };
    let resolved = Config::resolve(Some("finetune"), &[file(OLD)]).unwrap();
    assert_eq!(resolved.config, new);
    let warning = resolved.renamed[0].to_string();
    for words in ["loc.toml: ", "`begin` is now `head_warmup`", "`clip` is now `clip_grad_norm`"] {
        assert!(warning.contains(words), "{warning}");
    }
    assert_eq!(resolved.renamed[0].names.len(), OLD.trim().lines().count());
    let by_variables: Vec<ConfigSource> = OLD
        .trim()
        .lines()
        .map(|line| {
            let (name, value) = line.split_once(" = ").unwrap();
            environment(&format!("LOC_{}", name.to_uppercase()), value.trim_matches('"')).unwrap().remove(0)
        })
        .collect();
    let resolved = Config::resolve(Some("finetune"), &by_variables).unwrap();
    assert_eq!((&resolved.config, resolved.renamed.len()), (&new, by_variables.len()));
    let both = file("clip = 1.0\nclip_grad_norm = 2.0");
    let message = Config::resolve(None, &[both]).unwrap_err().to_string();
    assert!(message.contains("duplicate") && message.contains("clip_grad_norm"), "{message}");
    assert!(RECIPES.iter().all(|(name, _)| Config::resolve(Some(name), &[]).unwrap().renamed.is_empty()));
}

#[test]
fn classes_in_the_environment_are_a_list() {
    for list in ["cat,dog", " cat , dog"] {
        let config = Config::resolve(None, &environment("LOC_CLASSES", list).unwrap()).unwrap().config;
        assert_eq!(config.classes, Some(vec!["cat".to_owned(), "dog".to_owned()]));
    }
    for list in ["", "cat,,dog", "cat, cat"] {
        let error = Config::resolve(None, &environment("LOC_CLASSES", list).unwrap()).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("hint: "), "{error}");
    }
}

#[test]
fn a_variable_that_nearly_is_a_key_is_a_mistake() {
    let message = said(&environment("LOC_EPOCH", "3").unwrap_err());
    assert!(message.contains("LOC_EPOCH:") && message.contains("DidYouMean(\"LOC_EPOCHS\")"), "{message}");
    let message = said(&environment("LOC_AUGMENT_FLAP", "3").unwrap_err());
    assert!(message.contains("DidYouMean(\"LOC_AUGMENT_FLIP\")"), "{message}");
    assert_eq!(environment("LOC_SOMEBODY_ELSES", "3").unwrap(), []);
}

#[test]
fn errors_say_where_what_and_what_else() {
    let cases = [
        (file("batch = 8\nepoch = 3"), vec!["loc.toml", "line 2", "epoch", "DidYouMean(\"epochs\")"]),
        (file("[augment]\nflop = 1"), vec!["loc.toml", "line 2", "flop", "DidYouMean(\"flip\")"]),
        (file("lr = \"fast\""), vec!["loc.toml", "line 1", "lr"]),
        (file("head_warmup = 3"), vec!["loc.toml", "line 1", "the name of a recipe"]),
        (file("epochs = -1"), vec!["loc.toml", "line 1"]),
        (ConfigSource::value("--epochs", "epochs", "many"), vec!["--epochs", "many"]),
        (ConfigSource::value("--imgsz", "imgsz", "640,480"), vec!["--imgsz: 640,480: a whole number"]),
        (ConfigSource::value("LOC_BATCH", "batch", "-1"), vec!["LOC_BATCH: -1: a whole number, 0 or more"]),
        (ConfigSource::value("--lr", "lr", "fast"), vec!["--lr: fast: a number is needed"]),
        (
            ConfigSource::value("LOC_SKIP_BAD", "skip_bad", "maybe"),
            vec!["LOC_SKIP_BAD: maybe: `true` or `false`"],
        ),
        (ConfigSource::value("LOC_FIT", "fit", "crop"), vec!["LOC_FIT: crop: unknown variant `crop`"]),
        (ConfigSource::value("--lr", "lr", "nan"), vec!["lr is NaN", "above 0"]),
        (ConfigSource::value("--lr", "lr", "0"), vec!["lr is 0", "above 0"]),
        (ConfigSource::value("--batch", "batch", "0"), vec!["batch is 0", "1 or more"]),
        (ConfigSource::value("--epochs", "epochs", "0"), vec!["epochs is 0", "1 or more"]),
        (ConfigSource::value("--val", "val", "1"), vec!["val is 1", "above 0 and below 1"]),
        (ConfigSource::value("--keep", "keep", "last:0"), vec!["--keep", "last:N"]),
        (file("class_loss = \"focal\""), vec!["loc.toml", "cross_entropy_on_probabilities"]),
    ];
    for (layer, parts) in cases {
        let message = said(&Config::resolve(None, std::slice::from_ref(&layer)).unwrap_err());
        for part in parts {
            assert!(message.contains(part), "{layer:?}: {message}");
        }
    }
    let message = said(&Config::resolve(Some("miracle"), &[]).unwrap_err());
    assert!(message.contains("NameRecipe"), "{message}");
}

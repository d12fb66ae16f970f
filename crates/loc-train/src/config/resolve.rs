//! From sources to a checked configuration: recipe < file < environment < command line.

use crate::config::head_warmup;
use crate::config::keys::Config;
use crate::config::sources::ConfigSource;
use crate::error::TrainError;

impl Config {
    /// Lays a recipe and then the sources over the defaults, the later over the earlier, and checks the result. Without a
    /// `recipe` it is the one that a source names, else the default one; where a source has a value for every key, as a
    /// run's `config.toml` has, that recipe only gives its name: its file may be gone.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the origin, the line and key, and for an unknown key the nearest name.
    pub fn resolve(recipe: Option<&str>, sources: &[ConfigSource]) -> Result<Self, TrainError> {
        let tables: Vec<toml::Table> =
            sources.iter().map(|source| toml::from_str(&source.text).unwrap_or_default()).collect();
        let named = |table: &toml::Table| Some(table.get("recipe")?.as_str()?.to_owned());
        let name = recipe.map(str::to_owned).or_else(|| tables.iter().rev().find_map(named));
        let name = name.unwrap_or_else(|| Self::default().recipe);
        let beneath = match recipe.is_none() && tables.iter().any(is_whole) {
            true => None,
            false => Some(ConfigSource::recipe(&name)?),
        };
        let mut config = Self { recipe: name, ..Self::overlay(beneath.iter().chain(sources))? };
        config.classes = config.classes.as_deref().map(loc_data::class_list).transpose()?;
        config.begin = head_warmup::read(&config)?;
        config.validate()?;
        Ok(config)
    }
}

/// Whether a table has a value for every key that has a default.
fn is_whole(table: &toml::Table) -> bool {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    defaults.keys().all(|key| table.contains_key(key))
}

#[cfg(test)]
mod tests {
    use loc_model::loss::ClassLoss;

    use std::path::Path;

    use super::*;
    use crate::config::choices::CheckpointRetention;
    use crate::config::key_names;
    use crate::config::recipes::RECIPES;

    fn file(text: &str) -> ConfigSource {
        ConfigSource { origin: "loc.toml".into(), text: text.into() }
    }

    #[test]
    fn a_file_that_is_no_configuration_is_called_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loc.toml");
        let said = |bytes: &[u8]| {
            fs_err::write(&path, bytes).unwrap();
            ConfigSource::file(&path).map(|layer| layer.text).map_err(|e| e.to_string())
        };
        for (bytes, expected) in [
            (
                &b"\xff\xd8\xff\xe0\0\x10JFIF"[..],
                "loc.toml: is a JPEG photo, not a configuration in TOML (hint: ",
            ),
            (b"{\"epochs\": 3}", "loc.toml: is JSON, not a configuration in TOML"),
            (b"<html>", "loc.toml: is a web page (HTML), not a configuration in TOML"),
            (b"epochs = 3 # K\xe4fer", "loc.toml: is not UTF-8 (hint: save the file as UTF-8)"),
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
            let config = Config::resolve(Some(name), &[]).unwrap();
            assert_eq!(config.recipe, name);
            let written =
                ConfigSource { origin: "config.toml".into(), text: toml::to_string(&config).unwrap() };
            let again = Config::resolve(Some(name), &[written]).unwrap();
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
        let config = Config::resolve(Some("tutorial"), &layers).unwrap();
        assert_eq!((config.epochs, config.batch, config.lr), (5, 9, 0.1));
        assert_eq!(config.data.as_deref(), Some(Path::new("some/folder")));
        assert_eq!(config.keep, CheckpointRetention::Last(3));
        assert_eq!(config.class_loss, ClassLoss::CrossEntropyOnProbabilities);
    }

    fn environment(name: &str, value: &str) -> Result<Vec<ConfigSource>, TrainError> {
        let others = [("PATH", "/bin"), ("LOC_SHARED", "../shared"), (name, value)];
        ConfigSource::environment(others.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// For each key a value other than the default, as people write it in the environment, and in TOML.
    const VALUES: &[(&str, &str, &str)] = &[
        ("recipe", "compact", "\"compact\""),
        ("data", "some folder", "\"some folder\""),
        ("data_format", "voc", "\"voc\""),
        ("encoding", "latin1", "\"latin1\""),
        ("exif", "as-stored", "\"as-stored\""),
        ("classes", "cat, dog", "[\"cat\", \"dog\"]"),
        ("objects", "skip", "\"skip\""),
        ("skip_bad", "true", "true"),
        ("strict", "true", "true"),
        ("split_file", "s.csv", "\"s.csv\""),
        ("split_by", "draw", "\"draw\""),
        ("group_by", "^(cam[0-9])", "\"^(cam[0-9])\""),
        ("fold", "1/5", "\"1/5\""),
        ("val", "0.3", "0.3"),
        ("seed", "7", "7"),
        ("backbone", "lite0", "\"lite0\""),
        ("head", "edges", "\"edges\""),
        ("backbone_weights", "w.safetensors", "\"w.safetensors\""),
        ("backbone_lr", "0.5", "0.5"),
        ("begin", "transfer", "\"transfer\""),
        ("copies", "3", "3"),
        ("views", "100", "100"),
        ("imgsz", "224", "224"),
        ("fit", "letterbox", "\"letterbox\""),
        ("filter", "nearest", "\"nearest\""),
        ("normalize", "signed", "\"signed\""),
        ("initialisation", "he", "\"he\""),
        ("init", "m.safetensors", "\"m.safetensors\""),
        ("class_loss", "cross_entropy_on_probabilities", "\"cross_entropy_on_probabilities\""),
        ("label_smoothing", "0.1", "0.1"),
        ("class_weights", "1, 2.5", "[1.0, 2.5]"),
        ("class_weight", "2", "2.0"),
        ("box_loss", "smooth_l1", "\"smooth_l1\""),
        ("smooth_l1_beta", "0.1", "0.1"),
        ("overlap_loss", "giou", "\"giou\""),
        ("overlap_weight", "0.5", "0.5"),
        ("edges_weight", "0.5", "0.5"),
        ("box_weight", "5", "5.0"),
        ("optimizer", "adamw", "\"adamw\""),
        ("lr", "1e-3", "1e-3"),
        ("momentum", "0.5", "0.5"),
        ("nesterov", "true", "true"),
        ("weight_decay", "0.1", "0.1"),
        ("schedule", "step", "\"step\""),
        ("warmup", "1", "1.0"),
        ("lr_final", "0.1", "0.1"),
        ("step_every", "5", "5"),
        ("step_factor", "0.5", "0.5"),
        ("restarts", "3", "[3]"),
        ("clip", "1", "1.0"),
        ("average", "0.9", "0.9"),
        ("begin_share", "0.5", "0.5"),
        ("features_weight", "0.5", "0.5"),
        ("dropout", "0.5", "0.5"),
        ("augment", "{ flip = 0.5 }", "{ flip = 0.5 }"),
        ("still_epochs", "1", "1"),
        ("patience", "3", "3"),
        ("epochs", "50", "50"),
        ("least_steps", "9", "9"),
        ("batch", "16", "16"),
        ("device", "cuda:1", "\"cuda:1\""),
        ("workers", "1", "1"),
        ("threads", "1", "1"),
        ("keep", "last:3", "\"last:3\""),
        ("augment.flip", "0.5", "0.5"),
        ("augment.window", "0.5, 1.5", "[0.5, 1.5]"),
        ("augment.aspect", "0.5", "0.5"),
        ("augment.keep", "0.5", "0.5"),
        ("augment.brightness", "0.5", "0.5"),
        ("augment.contrast", "0.5", "0.5"),
        ("augment.saturation", "0.5", "0.5"),
        ("augment.tint", "0.5", "0.5"),
        ("augment.grayscale", "0.5", "0.5"),
        ("augment.cutout", "0.5", "0.5"),
        ("augment.mix", "0.5", "0.5"),
    ];

    #[test]
    fn every_key_can_be_set_in_the_environment_as_in_a_file() {
        let tried: std::collections::BTreeSet<&str> = VALUES.iter().map(|(key, ..)| *key).collect();
        let keys = key_names::all();
        assert_eq!(tried, keys.iter().map(String::as_str).collect(), "the table has every key");
        for (key, value, toml) in VALUES {
            let name = format!("LOC_{}", key.to_uppercase().replace('.', "_"));
            let by_file = [file(&format!("{key} = {toml}"))];
            // What the values may be together is another matter: laid, not checked.
            let [by_environment, by_file] = [&environment(&name, value).unwrap()[..], &by_file[..]]
                .map(|l| Config::overlay(l.iter()).unwrap());
            assert_eq!(by_environment, by_file, "{name}={value}");
            assert_ne!(by_file, Config::default(), "{key}");
        }
    }

    #[test]
    fn classes_in_the_environment_are_a_list() {
        for list in ["cat,dog", " cat , dog"] {
            let config = Config::resolve(None, &environment("LOC_CLASSES", list).unwrap()).unwrap();
            assert_eq!(config.classes, Some(vec!["cat".to_owned(), "dog".to_owned()]));
        }
        for list in ["", "cat,,dog", "cat, cat"] {
            let error = Config::resolve(None, &environment("LOC_CLASSES", list).unwrap()).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("hint: "), "{error}");
        }
    }

    #[test]
    fn a_variable_that_nearly_is_a_key_is_a_mistake() {
        let message = environment("LOC_EPOCH", "3").unwrap_err().to_string();
        assert!(message.contains("LOC_EPOCH:") && message.contains("mean `LOC_EPOCHS`?"), "{message}");
        let message = environment("LOC_AUGMENT_FLAP", "3").unwrap_err().to_string();
        assert!(message.contains("mean `LOC_AUGMENT_FLIP`?"), "{message}");
        assert_eq!(environment("LOC_SOMEBODY_ELSES", "3").unwrap(), []);
    }

    #[test]
    fn errors_say_where_what_and_what_else() {
        let cases = [
            (file("batch = 8\nepoch = 3"), vec!["loc.toml", "line 2", "epoch", "did you mean `epochs`?"]),
            (file("[augment]\nflop = 1"), vec!["loc.toml", "line 2", "flop", "did you mean `flip`?"]),
            (file("lr = \"fast\""), vec!["loc.toml", "line 1", "lr"]),
            (file("begin = 3"), vec!["loc.toml", "line 1", "the name of a recipe"]),
            (file("epochs = -1"), vec!["loc.toml", "line 1"]),
            (ConfigSource::value("--epochs", "epochs", "many"), vec!["--epochs", "many"]),
            (ConfigSource::value("--imgsz", "imgsz", "640,480"), vec!["--imgsz: 640,480: a whole number"]),
            (
                ConfigSource::value("LOC_BATCH", "batch", "-1"),
                vec!["LOC_BATCH: -1: a whole number, 0 or more"],
            ),
            (ConfigSource::value("--lr", "lr", "fast"), vec!["--lr: fast: a number is needed"]),
            (
                ConfigSource::value("LOC_SKIP_BAD", "skip_bad", "maybe"),
                vec!["LOC_SKIP_BAD: maybe: `true` or `false`"],
            ),
            (ConfigSource::value("LOC_FIT", "fit", "crop"), vec!["LOC_FIT: crop: unknown variant `crop`"]),
            (ConfigSource::value("--lr", "lr", "nan"), vec!["lr is NaN", "above 0"]),
            (ConfigSource::value("--lr", "lr", "0"), vec!["lr is 0", "above 0"]),
            (ConfigSource::value("--batch", "batch", "0"), vec!["batch is 0", "at least 1"]),
            (ConfigSource::value("--epochs", "epochs", "0"), vec!["epochs is 0", "at least 1"]),
            (ConfigSource::value("--val", "val", "1"), vec!["val is 1", "below 1"]),
            (ConfigSource::value("--keep", "keep", "last:0"), vec!["--keep", "last:N"]),
            (file("class_loss = \"focal\""), vec!["loc.toml", "cross_entropy_on_probabilities"]),
        ];
        for (layer, parts) in cases {
            let message = Config::resolve(None, std::slice::from_ref(&layer)).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{layer:?}: {message}");
            }
        }
        let message = Config::resolve(Some("miracle"), &[]).unwrap_err().to_string();
        assert!(message.contains("tutorial, scratch"), "{message}");
    }
}

//! Where a configuration's values come from: recipe < file < environment < command line. The values: `config`.

use std::path::Path;

use loc_data::content::Content;

use crate::{Config, Run, TrainError};

/// The built-in recipes: name and TOML.
pub const RECIPES: [(&str, &str); 5] = [
    ("tutorial", include_str!("../recipes/tutorial.toml")),
    ("scratch", include_str!("../recipes/scratch.toml")),
    ("compact", include_str!("../recipes/compact.toml")),
    ("transfer", include_str!("../recipes/transfer.toml")),
    ("finetune", include_str!("../recipes/finetune.toml")),
];

/// Some values of a [`Config`] and where they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// A file's path, `LOC_EPOCHS`, or `--epochs`.
    pub origin: String,
    /// TOML with some of the configuration's keys.
    pub text: String,
}

impl Layer {
    /// One value as people write it on a command line: a number, `true`, or text without quotes.
    #[must_use]
    pub fn value(origin: impl Into<String>, key: &str, value: &str) -> Self {
        let bare = format!("{key} = {value}");
        // Where only text will do (a name that looks like a number, a path), quotes make it one.
        let text = if toml::from_str::<Config>(&bare).is_ok() {
            bare
        } else {
            format!("{key} = {}", toml::Value::String(value.to_owned()))
        };
        Self { origin: origin.into(), text }
    }

    /// A TOML file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be read, [`TrainError::Config`] if it is no text: then it says what it is.
    pub fn file(path: &Path) -> Result<Self, TrainError> {
        let origin = path.display().to_string();
        if let Some(content) = Content::of_file(path) {
            let reason = format!(
                "is {content}, not a configuration in TOML (hint: a run folder's `config.toml` is one)"
            );
            return Err(TrainError::Config { origin, reason });
        }
        let reason = || "is not UTF-8 (hint: save the file as UTF-8)".to_owned();
        let text = String::from_utf8(fs_err::read(path)?)
            .map_err(|_| TrainError::Config { origin: origin.clone(), reason: reason() })?;
        let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
        Ok(Self { origin, text })
    }

    /// A list of texts.
    #[must_use]
    pub fn list(origin: impl Into<String>, key: &str, values: &[String]) -> Self {
        Self { origin: origin.into(), text: format!("{key} = {}", toml::Value::from(values.to_vec())) }
    }

    /// The values in environment variables `LOC_KEY`, for each key of the configuration. Others that begin with
    /// `LOC_` are somebody else's, unless they differ from a key so little that one must be meant.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for such a variable, with the nearest key.
    pub fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<Self>, TrainError> {
        let known = keys();
        let mut layers = Vec::new();
        for (name, value) in variables {
            let Some(key) = name.strip_prefix("LOC_").map(str::to_lowercase) else { continue };
            if key == "classes" {
                layers.push(Self::list(name, &key, &value.split(',').map(str::to_owned).collect::<Vec<_>>()));
            } else if known.contains(&key) {
                layers.push(Self::value(name, &key, &value));
            } else if let Some(near) = nearest(&key, &known) {
                let reason = format!("unknown key (hint: did you mean `LOC_{}`?)", near.to_uppercase());
                return Err(TrainError::Config { origin: name, reason });
            }
        }
        Ok(layers)
    }

    /// A recipe: built-in by name, else a TOML file by path.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if there is neither, [`TrainError::Io`] if the file cannot be read.
    pub fn recipe(name: &str) -> Result<Self, TrainError> {
        if let Some((_, text)) = RECIPES.iter().find(|(known, _)| *known == name) {
            return Ok(Self { origin: format!("recipe {name}"), text: (*text).to_owned() });
        }
        if Path::new(name).extension().is_some_and(|e| e == "toml") {
            return Self::file(Path::new(name));
        }
        let known: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
        Err(TrainError::Config {
            origin: "--recipe".into(),
            reason: format!("there is no recipe {name:?} (hint: {}, or a file NAME.toml)", known.join(", ")),
        })
    }
}

impl Config {
    /// Lays the layers over the defaults, the later over the earlier, and checks the result. Without a `recipe` it is
    /// the one that a layer names, else the default one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the origin, the line and key, and for an unknown key the nearest name.
    pub fn resolve(recipe: Option<&str>, layers: &[Layer]) -> Result<Self, TrainError> {
        let mut all = toml::Table::new();
        let named = |layer: &Layer| {
            let table: toml::Table = toml::from_str(&layer.text).ok()?;
            Some(table.get("recipe")?.as_str()?.to_owned())
        };
        let recipe = recipe.map(str::to_owned).or_else(|| layers.iter().rev().find_map(named));
        let recipe = &recipe.unwrap_or_else(|| Self::default().recipe);
        for layer in std::iter::once(&Layer::recipe(recipe)?).chain(layers) {
            let fail = |reason: String| TrainError::Config { origin: layer.origin.clone(), reason };
            // Read as a whole configuration first: errors then know their line.
            toml::from_str::<Self>(&layer.text).map_err(|e| fail(explain(&e)))?;
            let table: toml::Table = toml::from_str(&layer.text).map_err(|e| fail(explain(&e)))?;
            merge(&mut all, table);
        }
        all.insert("recipe".into(), recipe.clone().into());
        let config: Self = all
            .try_into()
            .map_err(|e| TrainError::Config { origin: "configuration".into(), reason: explain(&e) })?;
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// The configuration of a run, with more layers over it.
    ///
    /// # Errors
    ///
    /// As [`Config::resolve`]; [`TrainError::Io`] if the run's `config.toml` cannot be read.
    pub fn of_run(run: &Run, overrides: &[Layer]) -> Result<Self, TrainError> {
        let mut layers = vec![Layer::file(&run.config())?];
        layers.extend_from_slice(overrides);
        Self::resolve(None, &layers)
    }
}

/// Lays a table's values over another's; those of a table within it one by one.
fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// All keys of the configuration, those that are usually absent too.
fn keys() -> Vec<String> {
    let full = Config {
        data: Some("x".into()),
        data_format: Some("x".into()),
        classes: Some(Vec::new()),
        split_file: Some("x".into()),
        fold: Some("1/2".into()),
        init: Some("x".into()),
        restarts: vec![1],
        backbone_weights: Some("x".into()),
        ..Config::default()
    };
    toml::Table::try_from(full).map(|t| t.into_iter().map(|(key, _)| key).collect()).unwrap_or_default()
}

/// TOML's error, and for an unknown key the nearest known one.
fn explain(error: &toml::de::Error) -> String {
    let text = error.to_string().trim_end().to_owned();
    let Some(unknown) = text.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next()) else {
        return text;
    };
    match nearest(unknown, &keys()) {
        Some(key) => format!("{text} (hint: did you mean `{key}`?)"),
        None => text,
    }
}

/// The known word that differs least, if it differs little; one that begins the other differs little.
fn nearest(word: &str, known: &[String]) -> Option<String> {
    let word = word.replace('-', "_");
    let distance = |k: &String| match k.len() > 2 && (word.starts_with(k) || k.starts_with(&word)) {
        true => 1,
        false => strsim::damerau_levenshtein(&word, k),
    };
    known.iter().min_by_key(|k| distance(k)).filter(|k| distance(k) <= 1 + k.len() / 4).cloned()
}

#[cfg(test)]
mod tests {
    use loc_model::loss::ClassLoss;

    use super::*;
    use crate::Keep;

    fn file(text: &str) -> Layer {
        Layer { origin: "loc.toml".into(), text: text.into() }
    }

    #[test]
    fn a_file_that_is_no_configuration_is_called_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loc.toml");
        let said = |bytes: &[u8]| {
            fs_err::write(&path, bytes).unwrap();
            Layer::file(&path).map(|layer| layer.text).map_err(|e| e.to_string())
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
            let written = Layer { origin: "config.toml".into(), text: toml::to_string(&config).unwrap() };
            let again = Config::resolve(Some(name), &[written]).unwrap();
            assert_eq!(again.mathematics(), config.mathematics());
            assert_eq!(again.digest(), config.digest());
        }
    }

    #[test]
    fn later_layers_win() {
        let layers = [
            file("epochs = 5\nbatch = 8"),
            Layer::value("LOC_BATCH", "batch", "9"),
            Layer::value("--data", "data", "some/folder"),
            Layer::value("--keep", "keep", "last:3"),
        ];
        let config = Config::resolve(Some("tutorial"), &layers).unwrap();
        assert_eq!((config.epochs, config.batch, config.lr), (5, 9, 0.1));
        assert_eq!(config.data.as_deref(), Some(Path::new("some/folder")));
        assert_eq!(config.keep, Keep::Last(3));
        assert_eq!(config.class_loss, ClassLoss::CrossEntropyOnProbabilities);
    }

    fn environment(name: &str, value: &str) -> Result<Vec<Layer>, TrainError> {
        let others = [("PATH", "/bin"), ("LOC_SHARED", "../shared"), (name, value)];
        Layer::environment(others.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn environment_has_every_key() {
        let layer = Layer { origin: "LOC_SPLIT_FILE".into(), text: "split_file = \"s.csv\"".into() };
        assert_eq!(environment("LOC_SPLIT_FILE", "s.csv").unwrap(), [layer]);
    }

    #[test]
    fn classes_in_the_environment_are_a_list() {
        let config = Config::resolve(None, &environment("LOC_CLASSES", "cat,dog").unwrap()).unwrap();
        assert_eq!(config.classes, Some(vec!["cat".to_owned(), "dog".to_owned()]));
    }

    #[test]
    fn a_variable_that_nearly_is_a_key_is_a_mistake() {
        let message = environment("LOC_EPOCH", "3").unwrap_err().to_string();
        assert!(message.contains("LOC_EPOCH:") && message.contains("mean `LOC_EPOCHS`?"), "{message}");
        assert_eq!(environment("LOC_SOMEBODY_ELSES", "3").unwrap(), []);
    }

    #[test]
    fn errors_say_where_what_and_what_else() {
        let cases = [
            (file("batch = 8\nepoch = 3"), vec!["loc.toml", "line 2", "epoch", "did you mean `epochs`?"]),
            (file("lr = \"fast\""), vec!["loc.toml", "line 1", "lr"]),
            (file("epochs = -1"), vec!["loc.toml", "line 1"]),
            (Layer::value("--epochs", "epochs", "many"), vec!["--epochs", "many"]),
            (Layer::value("--lr", "lr", "nan"), vec!["lr is NaN", "above 0"]),
            (Layer::value("--lr", "lr", "0"), vec!["lr is 0", "above 0"]),
            (Layer::value("--batch", "batch", "0"), vec!["batch is 0", "at least 1"]),
            (Layer::value("--epochs", "epochs", "0"), vec!["epochs is 0", "at least 1"]),
            (Layer::value("--val", "val", "1"), vec!["val is 1", "below 1"]),
            (Layer::value("--keep", "keep", "last:0"), vec!["--keep", "last:N"]),
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

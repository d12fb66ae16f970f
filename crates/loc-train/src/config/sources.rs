//! Where a configuration's values come from: recipe < file < environment < command line. The values: `keys`.

use std::path::Path;

use loc_data::content_type::ContentType;

use crate::config::key_names;
use crate::config::keys::Config;
use crate::config::nearest::nearest;
use crate::error::TrainError;

/// Some values of a [`Config`] and where they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSource {
    /// A file's path, `LOC_EPOCHS`, or `--epochs`.
    pub origin: String,
    /// TOML with some of the configuration's keys.
    pub text: String,
}

impl ConfigSource {
    /// One value as people write it on a command line: a number, `true`, text without quotes, or a list with commas.
    #[must_use]
    pub fn value(origin: impl Into<String>, key: &str, value: &str) -> Self {
        let text = toml::Value::String(value.to_owned()).to_string();
        let texts: Vec<String> = value.split(',').map(|part| part.trim().to_owned()).collect();
        // The first that the key takes; where none is, what is wrong with it as text is said.
        let forms =
            [value.to_owned(), format!("[{value}]"), text.clone(), toml::Value::from(texts).to_string()];
        let takes = |form: &String| toml::from_str::<Config>(&format!("{key} = {form}")).is_ok();
        let form = forms.into_iter().find(takes).unwrap_or(text);
        Self { origin: origin.into(), text: format!("{key} = {form}") }
    }

    /// A TOML file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be read, [`TrainError::Config`] if it is no text: then it says what it is.
    pub fn file(path: &Path) -> Result<Self, TrainError> {
        let origin = path.display().to_string();
        if let Some(content) = ContentType::of_file(path) {
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

    /// The values in environment variables `LOC_KEY`, for each key of the configuration; of a table's, `LOC_AUGMENT_FLIP`.
    /// Others that begin with `LOC_` are somebody else's, unless they differ from a key so little that one must be meant.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for such a variable, with the nearest key.
    pub fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<Self>, TrainError> {
        let keys = key_names::all();
        let known: Vec<String> = keys.iter().map(|key| key.replace('.', "_")).collect();
        let mut sources = Vec::new();
        for (name, value) in variables {
            let Some(key) = name.strip_prefix("LOC_").map(str::to_lowercase) else { continue };
            if let Some(at) = known.iter().position(|known| *known == key) {
                sources.push(Self::value(name, &keys[at], &value));
            } else if let Some(near) = nearest(&key, &known) {
                let reason = format!("unknown key (hint: did you mean `LOC_{}`?)", near.to_uppercase());
                return Err(TrainError::Config { origin: name, reason });
            }
        }
        Ok(sources)
    }
}

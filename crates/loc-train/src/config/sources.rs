//! Where values of a configuration come from: files, the environment, the command line.

use std::path::Path;

use loc_data::content_type::ContentType;

use crate::config::keys::Config;
use crate::config::nearest::nearest;
use crate::error::{ConfigError, TrainError};

/// Some values of a [`Config`] and where they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSource {
    /// A file's path, `LOC_EPOCHS`, or `--epochs`.
    pub(crate) origin: String,
    /// TOML with some of the configuration's keys.
    pub(crate) text: String,
    /// The key and the value as written, where it is a single one that is not written as TOML.
    pub(crate) single: Option<(String, String)>,
}

impl ConfigSource {
    /// A text in TOML, and the origin that errors name.
    #[must_use]
    pub fn toml(origin: impl Into<String>, text: impl Into<String>) -> Self {
        Self { origin: origin.into(), text: text.into(), single: None }
    }

    /// One value as people write it on a command line: TOML, text without quotes, or a list with commas.
    #[must_use]
    pub fn value(origin: impl Into<String>, key: &str, value: &str) -> Self {
        let text = toml::Value::String(value.to_owned()).to_string();
        let texts: Vec<String> = value.split(',').map(|part| part.trim().to_owned()).collect();
        // The first form that the key takes; if it takes none, the error is about the text.
        let forms =
            [value.to_owned(), format!("[{value}]"), text.clone(), toml::Value::from(texts).to_string()];
        let takes = |form: &String| {
            let line = format!("{key} = {form}");
            // A line break in the value would begin another key.
            !form.contains('\n') && toml::from_str::<Config>(&line).is_ok()
        };
        let form = forms.into_iter().find(takes).unwrap_or(text);
        let single = Some((key.to_owned(), value.to_owned()));
        Self { origin: origin.into(), text: format!("{key} = {form}"), single }
    }

    /// Whether it sets this key.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.text.parse::<toml::Table>().is_ok_and(|table| table.contains_key(key))
    }

    /// One setting as `KEY=VALUE`, with the value as in [`ConfigSource::value`].
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] if there is no such key, with the nearest one.
    pub fn setting(origin: &str, setting: &str) -> Result<Self, TrainError> {
        let fail = |kind| Err(TrainError::config(format!("{origin} {setting}"), kind));
        let Some((key, value)) = setting.split_once('=') else { return fail(ConfigError::NotASetting) };
        let key = key.trim();
        if Config::key(key).is_some() {
            return Ok(Self::value(format!("{origin} {key}"), key, value.trim()));
        }
        let known: Vec<String> = Config::keys().into_iter().map(|(name, _)| name).collect();
        fail(ConfigError::UnknownKey { key: key.to_owned(), nearest: nearest(key, &known) })
    }

    /// A TOML file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`] if it cannot be read, [`TrainError::Config`] if it is not text, with what it is.
    pub fn file(path: &Path) -> Result<Self, TrainError> {
        let origin = path.display().to_string();
        if let Some(content) = ContentType::of_file(path) {
            return Err(TrainError::config(
                origin,
                ConfigError::OtherContent { content: content.to_string() },
            ));
        }
        let text = String::from_utf8(fs_err::read(path)?)
            .map_err(|_| TrainError::config(&*origin, ConfigError::NotUtf8))?;
        let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
        Ok(Self::toml(origin, text))
    }

    /// The values in environment variables `LOC_KEY`, for each key of the configuration; for a table's, `LOC_AUGMENT_FLIP`.
    /// Other variables that begin with `LOC_` belong to other programs, unless they are nearly a key.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] for a variable that is nearly a key, with the nearest key.
    pub fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<Self>, TrainError> {
        let keys = Config::keys();
        let known: Vec<String> = keys.iter().map(|(key, _)| key.replace('.', "_")).collect();
        let mut sources = Vec::new();
        for (name, value) in variables {
            let Some(word) = name.strip_prefix("LOC_").map(str::to_lowercase) else { continue };
            if let Some(at) = known.iter().position(|known| *known == word) {
                sources.push(Self::value(name, &keys[at].0, &value));
            } else if Config::key(&word).is_some() {
                sources.push(Self::value(name, &word, &value));
            } else if let Some(near) = nearest(&word, &known) {
                let nearest = Some(format!("LOC_{}", near.to_uppercase()));
                return Err(TrainError::config(name, ConfigError::UnknownKey { key: word, nearest }));
            }
        }
        Ok(sources)
    }
}

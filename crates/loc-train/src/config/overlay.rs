//! The values of several sources over the defaults, the later over the earlier, with errors that know their line.

use std::fmt;

use loc_data::keys::{Key, Kind};

use crate::config::auto::AutoChoice;
use crate::config::keys::Config;
use crate::config::nearest::nearest;
use crate::config::sources::ConfigSource;
use crate::error::{ConfigError, TrainError};

/// Keys that say how the `data` of the same source are read.
const OF_DATA: [&str; 3] = ["data_format", "columns", "class"];

/// A configuration, and the old names that its sources used.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// For each source with old names, these.
    pub renamed: Vec<RenamedKeys>,
    /// The recipe that `auto` took, if it was to choose one.
    pub auto: Option<AutoChoice>,
}

/// Keys that a source has under their names in the release before. They are read until the next release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenamedKeys {
    /// The source.
    pub origin: String,
    /// The old and the new name of each.
    pub names: Vec<(&'static str, &'static str)>,
}

impl fmt::Display for RenamedKeys {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<String> =
            self.names.iter().map(|(old, new)| format!("`{old}` is now `{new}`")).collect();
        write!(f, "{}: {}; the next release will not read the old name", self.origin, names.join(", "))?;
        f.write_str(if self.names.len() > 1 { "s" } else { "" })
    }
}

impl Config {
    /// The configuration of a text in TOML, of this release or the one before; a key that is missing has its default.
    pub(crate) fn parse(text: &str) -> Result<Self, TrainError> {
        Ok(Self::overlay(std::iter::once(&ConfigSource::toml("configuration", text)))?.config)
    }

    /// Puts the values of the sources over the defaults, the later over the earlier. Ranges are not checked.
    pub(crate) fn overlay<'a>(
        sources: impl Iterator<Item = &'a ConfigSource>,
    ) -> Result<Resolved, TrainError> {
        let (mut all, mut renamed) = (toml::Table::new(), Vec::new());
        let mut of_its_data: Vec<&str> = Vec::new();
        for source in sources {
            let fail = |kind| TrainError::config(&*source.origin, kind);
            // Read as a whole configuration first: errors then know their line.
            toml::from_str::<Self>(&source.text)
                .map_err(|e| fail(explain_value(source, &e).unwrap_or_else(|| explain(&e))))?;
            let mut table: toml::Table = toml::from_str(&source.text).map_err(|e| fail(explain(&e)))?;
            let names = rename(&mut table);
            if !names.is_empty() {
                renamed.push(RenamedKeys { origin: source.origin.clone(), names });
            }
            if table.get("data").is_some_and(|data| all.get("data") != Some(data)) {
                // What an earlier source says of its own data is not said of these.
                of_its_data.drain(..).for_each(|key| drop(all.remove(key)));
            }
            if table.contains_key("data") {
                of_its_data.extend(OF_DATA.into_iter().filter(|key| table.contains_key(*key)));
            }
            merge(&mut all, table);
        }
        let config = all.try_into().map_err(|e| TrainError::config("configuration", explain(&e)))?;
        Ok(Resolved { config, renamed, auto: None })
    }
}

/// Gives the keys of a table their new names, those of the head warm-up within it too; the names that were old.
pub(crate) fn rename(table: &mut toml::Table) -> Vec<(&'static str, &'static str)> {
    let mut names = Vec::new();
    for Key { name, old_name, .. } in Config::KEYS {
        if let Some(old) = old_name
            && let Some(value) = table.remove(*old)
        {
            table.insert((*name).to_owned(), value);
            names.push((*old, *name));
        }
    }
    if let Some(toml::Value::Table(inner)) = table.get_mut("head_warmup") {
        names.extend(rename(inner));
    }
    names
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

/// The error of a single value that is not written as TOML.
fn explain_value(source: &ConfigSource, error: &toml::de::Error) -> Option<ConfigError> {
    let (key, value) = source.single.as_ref()?;
    let needed = match (Config::key(key)?.kind)() {
        Kind::Whole => "a whole number, 0 or more, is needed",
        Kind::Number => "a number is needed",
        Kind::Bool => "`true` or `false` is needed",
        _ => error.message(),
    };
    Some(ConfigError::Value { value: value.clone(), needed: needed.to_owned() })
}

/// TOML's error, and for an unknown key the nearest known one.
fn explain(error: &toml::de::Error) -> ConfigError {
    let message = error.to_string().trim_end().to_owned();
    let Some(unknown) = message.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next())
    else {
        return ConfigError::Toml { message, nearest: None };
    };
    // A key of a table is unknown by its own name.
    let keys: Vec<String> = Config::keys().into_iter().map(|(_, key)| key.name.to_owned()).collect();
    let nearest = nearest(unknown, &keys);
    // Without the list of all keys.
    let message = message.split(", expected one of ").next().unwrap_or(&message).to_owned();
    ConfigError::Toml { message, nearest }
}

//! Values of several sources laid over the defaults, the later over the earlier, with errors that know their line.

use crate::config::key_names;
use crate::config::keys::Config;
use crate::config::nearest::nearest;
use crate::config::sources::ConfigSource;
use crate::error::TrainError;

impl Config {
    /// Lays values of sources over the defaults, the later over the earlier. Ranges are not checked.
    pub(crate) fn overlay<'a>(sources: impl Iterator<Item = &'a ConfigSource>) -> Result<Self, TrainError> {
        let mut all = toml::Table::new();
        for source in sources {
            let fail = |reason: String| TrainError::Config { origin: source.origin.clone(), reason };
            // Read as a whole configuration first: errors then know their line.
            toml::from_str::<Self>(&source.text)
                .map_err(|e| fail(explain_value(source, &e).unwrap_or_else(|| explain(&e))))?;
            let table: toml::Table = toml::from_str(&source.text).map_err(|e| fail(explain(&e)))?;
            merge(&mut all, table);
        }
        all.try_into().map_err(|e| TrainError::Config { origin: "configuration".into(), reason: explain(&e) })
    }
}

/// What is wrong with the value of a flag or a variable, which is not written as TOML.
fn explain_value(source: &ConfigSource, error: &toml::de::Error) -> Option<String> {
    if !source.origin.starts_with("--") && !source.origin.starts_with("LOC_") {
        return None;
    }
    let (key, value) = source.text.split_once(" = ")?;
    // The kind of the default; keys without one are texts or lists.
    let defaults = toml::Table::try_from(Config::default()).ok()?;
    let default =
        key.split('.').try_fold(&toml::Value::Table(defaults), |value, part| value.get(part)).cloned();
    let needed = match default {
        Some(toml::Value::Integer(_)) => "a whole number, 0 or more, is needed",
        Some(toml::Value::Float(_)) => "a number is needed",
        Some(toml::Value::Boolean(_)) => "`true` or `false` is needed",
        _ => return Some(format!("{}: {}", value.trim_matches('"'), error.message())),
    };
    Some(format!("{}: {needed}", value.trim_matches('"')))
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

/// TOML's error, and for an unknown key the nearest known one.
fn explain(error: &toml::de::Error) -> String {
    let text = error.to_string().trim_end().to_owned();
    let Some(unknown) = text.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next()) else {
        return text;
    };
    // A key of a table is unknown by its own name.
    let keys: Vec<String> =
        key_names::all().iter().filter_map(|key| Some(key.split('.').next_back()?.to_owned())).collect();
    match nearest(unknown, &keys) {
        Some(key) => format!("{text} (hint: did you mean `{key}`?)"),
        None => text,
    }
}

//! The flags that set keys of the configuration, made of the keys' declarations: name, value, help and default.

use std::sync::LazyLock;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use loc_data::keys::{Key, Kind};
use loc_train::{Config, ConfigSource, RECIPES};

/// The keys that were set on the command line: by flags of their own, then by `--set`.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyFlags {
    flags: Vec<(&'static Key, String)>,
    settings: Vec<String>,
}

impl KeyFlags {
    /// The value of a key's own flag, if it was given.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(key, _)| key.name == name).map(|(_, value)| &**value)
    }

    /// The same without a key's own flag.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut others = self.clone();
        others.flags.retain(|(key, _)| key.name != name);
        others
    }

    /// A source of the configuration for each.
    pub(crate) fn sources(&self) -> Result<Vec<ConfigSource>, loc_train::TrainError> {
        let flags = self.flags.iter().map(|(key, value)| Ok(ConfigSource::value(flag(key), key.name, value)));
        flags.chain(self.settings.iter().map(|setting| ConfigSource::setting("--set", setting))).collect()
    }
}

/// The flag of a key.
fn flag(key: &Key) -> String {
    format!("--{}", key.name.replace('_', "-"))
}

/// The keys that have flags.
fn keys() -> impl Iterator<Item = &'static Key> {
    Config::KEYS.iter().filter(|key| !key.flag.is_empty())
}

/// Whether an argument may request the help.
static HELP_REQUESTED: LazyLock<bool> = LazyLock::new(|| {
    let requests = |arg: &str| match arg.strip_prefix('-') {
        Some(rest) => rest.starts_with("-h") || (!rest.starts_with('-') && rest.contains('h')),
        None => arg == "help",
    };
    std::env::args_os().skip(1).any(|arg| arg.to_str().is_some_and(requests))
});

/// The help of a key's flag: the summary of its doc, and its default. Empty if no help is requested: the texts of all keys
/// take a tenth of the time of a prediction.
pub(crate) fn help(name: &str) -> String {
    let Some(key) = Config::key(name).filter(|_| *HELP_REQUESTED) else { return String::new() };
    let summary = key.summary();
    let summary = summary.strip_suffix('.').unwrap_or(&summary);
    // Few texts, as they are typed.
    let values = if key.texts.is_empty() { (key.kind)().variants() } else { key.texts };
    let values = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
    match default(key) {
        Some(default) => format!("{summary}{values} [default: {default}]"),
        None => format!("{summary}{values}"),
    }
}

/// What holds without the flag, where that is the same for all recipes.
fn default(key: &Key) -> Option<String> {
    static RECIPE_KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let tables = RECIPES.iter().filter_map(|(_, text)| text.parse::<toml::Table>().ok());
        tables.flat_map(|table| table.into_iter().map(|(key, _)| key)).collect()
    });
    if RECIPE_KEYS.iter().any(|known| known == key.name) {
        return Some("the recipe's".into());
    }
    let value = toml::Table::try_from(Config::default()).ok()?.get(key.name).cloned();
    match value {
        Some(toml::Value::Boolean(_)) => None,
        Some(toml::Value::String(text)) => Some(text),
        Some(value) => Some(value.to_string()),
        None => Some(key.absent.to_owned()).filter(|absent| absent != "none"),
    }
}

impl Args for KeyFlags {
    fn augment_args(command: Command) -> Command {
        let command = keys().fold(command, |command, key| {
            let arg = Arg::new(key.name).long(key.name.replace('_', "-")).help(help(key.name));
            let kind = (key.kind)();
            command.arg(match kind {
                Kind::Bool => arg.action(ArgAction::SetTrue),
                Kind::List(_) => arg.action(ArgAction::Append).value_name(key.flag),
                _ => arg
                    .action(ArgAction::Set)
                    .value_name(key.flag)
                    .value_parser(ValueParser::string())
                    .allow_negative_numbers(kind.is_numeric()),
            })
        });
        command.arg(Arg::new("set").long("set").value_name("KEY=VALUE").action(ArgAction::Append).help(
            "Set any key of the configuration, after all flags: `--set momentum=0.9 --set augment.flip=0.5`",
        ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &&Key| matches.value_source(key.name) == Some(ValueSource::CommandLine);
        let value = |key: &'static Key| match (key.kind)() {
            Kind::Bool => (key, "true".to_owned()),
            _ => (key, texts(matches, key.name).join(",")),
        };
        Ok(Self { flags: keys().filter(given).map(value).collect(), settings: texts(matches, "set") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

//! Suggestions for command lines in the style of other tools: `epochs=50`, `--batch-size`, a folder without `--data`, dashes
//! inserted by a word processor. The table of names is in `synonyms`.

mod synonyms;
#[cfg(test)]
mod tests;

use std::path::Path;

use clap::{Arg, Command};

use self::synonyms::Meaning;
use crate::output::quoted;

/// The first error in a command line, and corrections.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Suggestion {
    /// The error, for a line that clap accepts.
    pub(crate) reason: String,
    /// The corrections, one line each.
    pub(crate) hints: Vec<String>,
}

/// Suggests corrections for the arguments after the program's name; `None` if there is nothing to correct.
pub(crate) fn suggest(args: &[String], root: &Command) -> Option<Suggestion> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (flags, others) = args.split_at(end);
    let right = flags.iter().map(|arg| hyphens(arg)).chain(others.iter().cloned()).collect();
    let mut line = Line { args: right, ..Line::default() };
    for (before, after) in args.iter().zip(line.args.clone()).filter(|(before, after)| *before != after) {
        line.reason(format!("'{before}' begins with a dash that is not a hyphen"));
        line.replaced(&after);
    }
    let (path, command) = line.command(root)?;
    line.rest(&path, command);
    line.suggestion()
}

/// Replaces a word processor's dashes at the start of a word by hyphens, unless a file of that name exists.
fn hyphens(arg: &str) -> String {
    let rest = arg.trim_start_matches(['–', '—', '−', '‐', '‑', '-']);
    let dashes = &arg[..arg.len() - rest.len()];
    if dashes.chars().all(|dash| dash == '-')
        || !rest.starts_with(char::is_alphabetic)
        || Path::new(arg).exists()
    {
        return arg.to_owned();
    }
    let name = rest.split('=').next().unwrap_or(rest);
    format!("{}{rest}", if name.chars().count() == 1 { "-" } else { "--" })
}

#[derive(Default)]
struct Line {
    args: Vec<String>,
    /// The corrected words.
    meant: Vec<String>,
    reason: String,
    /// Corrections of single words.
    parts: Vec<String>,
    /// Whether the corrected line is to be shown as a whole.
    whole: bool,
    /// Whether a data set is named.
    has_data: bool,
    /// Words to leave out, and why.
    remarks: Vec<String>,
}

impl Line {
    fn reason(&mut self, reason: String) {
        if self.reason.is_empty() {
            self.reason = reason;
        }
    }

    /// Notes synonyms that stand in for one.
    fn replaced(&mut self, part: &str) {
        self.parts.push(part.to_owned());
    }

    /// Takes the synonyms that name the command from the line, and finds the command.
    fn command<'a>(&mut self, root: &'a Command) -> Option<(String, &'a Command)> {
        let (mut command, mut path) = (root, Vec::new());
        while command.has_subcommands() {
            let word = self.args.first()?.clone();
            let bare = word.strip_prefix("mode=").unwrap_or(&word).to_owned();
            if word.starts_with("task=")
                || (bare == "detect" && self.args.get(1).is_some_and(|next| names(root, next)))
            {
                self.whole = true;
                self.reason(format!("'{word}' is not a command"));
                self.args.remove(0);
                continue;
            }
            if let Some(found) = command.find_subcommand(&bare).filter(|found| found.get_name() != "help") {
                self.args.remove(0);
                self.whole |= bare != word;
                // As it was written: an alias is as good.
                self.meant.push(bare);
                path.push(found.get_name());
                command = found;
                continue;
            }
            let ours = if path.is_empty() { synonyms::command(&bare.to_lowercase())? } else { return None };
            self.reason(format!("'{word}' is not a command"));
            self.args.splice(..1, ours.iter().map(|word| (*word).to_owned()));
            self.whole = true;
        }
        Some((path.join(" "), command))
    }

    /// Goes through the synonyms behind the command.
    fn rest(&mut self, path: &str, command: &Command) {
        let bare =
            |arg: &String| arg.split('=').next().unwrap_or_default().trim_start_matches('-').to_owned();
        self.has_data = self.args.iter().any(|arg| bare(arg) == "data");
        let mut args = std::mem::take(&mut self.args).into_iter().peekable();
        let has_model = |args: &[String]| args.iter().any(|arg| arg == "-m" || arg.starts_with("--model"));
        let mut models = !has_model(&args.clone().collect::<Vec<_>>());
        while let Some(arg) = args.next() {
            if arg == "--" {
                self.meant.push(arg);
                self.meant.extend(args);
                return;
            }
            let (name, mut value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg.clone(), None),
            };
            let word = name.trim_start_matches('-').to_lowercase().replace('_', "-");
            if !name.starts_with('-') || name == "-" {
                if let Some(value) = value.filter(|_| !Path::new(&arg).exists()) {
                    if self.named(path, command, &word, Some(&value), &arg) {
                        continue;
                    }
                } else if self.argument(command, &arg, &mut models) {
                    continue;
                }
                self.meant.push(arg);
                continue;
            }
            let known = flag(command, &name);
            let takes = match known {
                Some(known) => known.get_action().takes_values(),
                None => true,
            };
            let needed = known.is_some_and(|known| known.get_num_args().is_none_or(|n| n.min_values() > 0));
            let next = args.peek().filter(|next| !next.starts_with('-') || is_number(next));
            if takes && value.is_none() && (needed || next.is_some()) {
                value = next.cloned();
                if value.is_some() {
                    args.next();
                }
            }
            match known {
                Some(_) => self.known(&name, value.as_deref(), &arg),
                None if self.named(path, command, &word, value.as_deref(), &name) => {}
                None => self.meant.extend(std::iter::once(arg).chain(value)),
            }
        }
    }

    /// A flag of ours, whose value may be another tool's.
    fn known(&mut self, name: &str, value: Option<&str>, arg: &str) {
        let side = value.filter(|_| name == "--imgsz").and_then(first_of_two);
        if let (Some(side), Some(value)) = (side, value) {
            self.reason(format!("--imgsz {value}: the input is square, one number is needed"));
            self.replaced(&format!("--imgsz {side}"));
            self.meant.extend([name.to_owned(), side]);
        } else if name == "--batch" && value.is_some_and(|value| value.starts_with('-')) {
            self.reason("--batch: a number of photos from 1 is needed".into());
            self.remarks
                .push("leave `--batch` out: the size is then the recipe's, there is no automatic one".into());
        } else if arg.contains('=') {
            self.meant.push(arg.to_owned());
        } else {
            self.meant.push(name.to_owned());
            self.meant.extend(value.map(str::to_owned));
        }
    }

    /// A word with a value, by the name that another tool or ours has for it; whether it has one here.
    fn named(&mut self, path: &str, command: &Command, word: &str, value: Option<&str>, arg: &str) -> bool {
        let own = format!("--{word}");
        let ours = match flag(command, &own) {
            Some(_) => Meaning::Flag(""),
            None => match synonyms::meaning(path, word) {
                Some(ours) => ours,
                None => return false,
            },
        };
        self.reason(format!("unexpected argument '{arg}'"));
        let value = value.map(|value| value.trim_matches(['\'', '"']));
        match ours {
            Meaning::Nothing(why) => self.remarks.push(format!("leave `{arg}` out: {why}")),
            Meaning::Argument => {
                self.whole = true;
                self.meant.extend(value.map(str::to_owned));
            }
            Meaning::Flag(flag_of_ours) => {
                let name = if flag_of_ours.is_empty() { &own } else { flag_of_ours };
                self.flagged(name, flag(command, name), value);
            }
        }
        true
    }

    fn flagged(&mut self, name: &str, known: Option<&Arg>, value: Option<&str>) {
        let takes = known.is_none_or(|known| known.get_action().takes_values());
        if !takes && value.is_some_and(|value| value.eq_ignore_ascii_case("false") || value == "0") {
            return self.remarks.push(format!("leave `{name}` out, it is not set by itself"));
        }
        if name == "--batch" && value.is_some_and(|value| value.starts_with('-')) {
            return self.known(name, value, name);
        }
        let value = value.filter(|_| takes).map(|value| match name {
            "--imgsz" => first_of_two(value).unwrap_or_else(|| value.to_owned()),
            "--device" if value.bytes().all(|b| b.is_ascii_digit()) => format!("cuda:{value}"),
            "--device" if ["gpu", "cuda"].contains(&value) => "cuda:0".into(),
            "--save-labels" => "voc".into(),
            _ => value.to_owned(),
        });
        let part: Vec<String> = std::iter::once(name.to_owned()).chain(value).collect();
        self.replaced(&part.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        self.meant.extend(part);
    }

    /// An argument without a flag that may need one; whether it does.
    fn argument(&mut self, command: &Command, arg: &str, models: &mut bool) -> bool {
        let takes = command.get_positionals().next().is_some();
        let ending = Path::new(arg).extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        let model = ["safetensors", "pt", "pth", "onnx", "ckpt"].contains(&&*ending)
            || Path::new(arg).join("config.toml").is_file();
        let has = |name: &str| flag(command, name).is_some();
        let name = match &*ending {
            _ if model && *models && has("--model") => {
                *models = false;
                "-m"
            }
            _ if takes => return false,
            "toml" if has("--config") => "--config",
            "yaml" | "yml" if has("--data") => {
                self.reason(format!("unexpected argument '{arg}'"));
                self.remarks.push(format!(
                    "loc reads no YAML: `--data` takes the data set's folder, `--config` a TOML file ({arg} is neither)"
                ));
                return true;
            }
            _ if model && has("--init") => "--init",
            _ if has("--data") && !self.has_data => {
                self.has_data = true;
                "--data"
            }
            _ => return false,
        };
        self.reason(format!("unexpected argument '{arg}'"));
        self.whole = true;
        self.meant.extend([name.to_owned(), arg.to_owned()]);
        true
    }

    fn suggestion(self) -> Option<Suggestion> {
        if self.parts.is_empty() && self.remarks.is_empty() && !self.whole {
            return None;
        }
        let mut hints = Vec::new();
        if !self.parts.is_empty() {
            let parts: Vec<String> = self.parts.iter().map(|part| format!("`{part}`")).collect();
            hints.push(format!("did you mean {}?", parts.join(", ")));
        }
        if self.whole || self.parts.len() > 1 {
            let words: Vec<String> = self.meant.iter().map(|word| quoted(word)).collect();
            let line = format!("`loc {}`", words.join(" "));
            hints.push(if hints.is_empty() {
                format!("did you mean {line}?")
            } else {
                format!("as a whole: {line}")
            });
        }
        hints.extend(self.remarks);
        Some(Suggestion { reason: self.reason, hints })
    }
}

/// Whether a word names a command.
fn names(root: &Command, word: &str) -> bool {
    root.find_subcommand(word.strip_prefix("mode=").unwrap_or(word)).is_some()
}

/// The flag of a command: `--long` or `-s`.
fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => name.len() == 2 && arg.get_short() == name[1..].chars().next(),
    })
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// The first of two sides, as `640,480`, `640x480` and `[640, 480]` say them.
fn first_of_two(text: &str) -> Option<String> {
    let sides: Vec<&str> = text.trim_matches(['[', ']', '(', ')']).split([',', 'x', 'X', '×', ' ']).collect();
    let sides: Vec<&str> = sides.into_iter().map(str::trim).filter(|side| !side.is_empty()).collect();
    let numbers = sides.len() == 2 && sides.iter().all(|side| side.parse::<u32>().is_ok());
    numbers.then(|| sides[0].to_owned())
}

//! Tests that the tables of keys in `docs/formats.md` equal the declarations of the keys.
//! `LOC_BLESS=1 cargo test -p loc-train --test keys` updates the tables.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fmt::Write;
use std::path::Path;

use loc_data::keys::{Key, Kind};
use loc_train::Config;

/// The keys as a table in Markdown.
fn table(keys: &[Key], defaults: &toml::Table) -> String {
    let mut text = String::from("| key | default | values | what it does |\n|---|---|---|---|\n");
    for key in keys.iter().filter(|key| !key.is_hidden) {
        let default = match defaults.get(key.name) {
            Some(toml::Value::Table(_)) => "as below".into(),
            Some(value) => format!("`{value}`"),
            None => key.absent.to_owned(),
        };
        let values = match (key.kind)() {
            // Whole numbers have no sign.
            Kind::Whole if key.range.is_none() && key.takes.is_empty() => "a whole number, 0 or more".into(),
            _ => key.values(),
        };
        let row = format!("| `{}` | {default} | {values} | {} |", key.name, key.text());
        writeln!(text, "{}", row.replace("e^±x", "e<sup>±x</sup>").replace("e^∓x", "e<sup>∓x</sup>"))
            .unwrap();
    }
    text
}

#[test]
fn the_documented_tables_equal_the_declarations() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let mut page = fs_err::read_to_string(&path).unwrap();
    for (name, keys, defaults) in [
        ("keys", Config::KEYS, &defaults),
        ("augment", loc_data::Augment::KEYS, defaults["augment"].as_table().unwrap()),
    ] {
        let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- end of generated -->\n");
        let from =
            page.find(&begin).unwrap_or_else(|| panic!("docs/formats.md has no {begin}")) + begin.len();
        let to = from + page[from..].find(end).unwrap();
        let table = table(keys, defaults);
        if page[from..to] != table {
            let bless = std::env::var_os("LOC_BLESS").is_some();
            assert!(bless, "docs/formats.md is out of date: LOC_BLESS=1 cargo test -p loc-train --test keys");
            page.replace_range(from..to, &table);
        }
    }
    fs_err::write(&path, page).unwrap();
}

#[test]
fn every_key_has_a_summary_and_a_kind() {
    for (name, key) in Config::keys() {
        assert!(key.summary().ends_with('.'), "{name}: {}", key.summary());
        assert!(!matches!((key.kind)(), Kind::Any) || name == "head_warmup", "{name} has no kind");
    }
}

//! The layers inside a crate: which top-level module may use which, and that modules do not use each other in cycles.
//!
//! A top-level module is a file or a folder next to `lib.rs`. Uses are paths that begin with `crate::` or `super::`. A
//! name that `lib.rs` or a `mod.rs` re-exports counts as a use of the file that defines it. Re-exports of a `mod.rs` do
//! not count as uses.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// A crate and its top-level modules, layer by layer from the top. A module may use only modules in lower layers.
const LAYERS: &[(&str, &[&[&str]])] = &[
    (
        "loc-train",
        &[
            &["engine"],
            &["checkpoint", "eval", "optim"],
            &["input", "run"],
            &["config", "collective"],
            &["event", "weights_cache"],
            &["digest", "error", "testing", "user_cache"],
        ],
    ),
    (
        "loc-net",
        &[
            &["exec"],
            &["weights"],
            &["graph", "kernels"],
            &["buffers"],
            &["parallel"],
            &["error", "pointer", "window"],
        ],
    ),
];

/// The modules of a crate by their paths (`config::keys`), and the text of each without comments.
struct Modules(BTreeMap<String, String>);

impl Modules {
    fn of(krate: &str) -> Self {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates").join(krate).join("src");
        let mut all = BTreeMap::new();
        add(&source, &source, &mut all);
        Self(all)
    }

    /// The module that a path refers to, through re-exports: `config::Config` may be `config::keys`.
    fn target(&self, path: &[String]) -> Option<String> {
        let mut module = String::new();
        for (at, name) in path.iter().enumerate() {
            let child = join(&module, name);
            if self.0.contains_key(&child) {
                module = child;
            } else if let Some(source) = self.exported(&module, name) {
                return self.target(&[source, path[at..].to_vec()].concat());
            } else {
                break;
            }
        }
        (!module.is_empty()).then_some(module)
    }

    /// The path from which a `mod.rs` or `lib.rs` re-exports a name.
    fn exported(&self, module: &str, name: &str) -> Option<Vec<String>> {
        let text = self.0.get(module)?;
        let exports =
            uses(text).into_iter().filter(|(public, path)| *public && path.last().is_some_and(|l| l == name));
        exports
            .map(|(_, path)| self.absolute(module, &path[..path.len() - 1]))
            .find(|path| join_all(path) != module)
    }

    /// A path relative to the crate's root.
    fn absolute(&self, module: &str, path: &[String]) -> Vec<String> {
        let own: Vec<String> =
            module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("self") => [&own, &path[1..]].concat(),
            Some("super") => [&own[..own.len().saturating_sub(1)], &path[1..]].concat(),
            _ => [&own, path].concat(),
        }
    }

    /// The modules that a module uses.
    fn used_by(&self, module: &str) -> BTreeSet<String> {
        let text = &self.0[module];
        let imported = uses(text).into_iter().filter(|(public, _)| !public).map(|(_, path)| path);
        let paths =
            imported.chain(inline(text)).filter(|path| matches!(&*path[0], "crate" | "super" | "self"));
        // `super::*` in a test module means the file itself.
        let paths = paths.filter(|path| path[path.len() - 1] != "*");
        let targets = paths.filter_map(|path| self.target(&self.absolute(module, &path)));
        targets.filter(|target| target != module).collect()
    }
}

fn add(root: &Path, folder: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(root, &path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative: PathBuf = path.strip_prefix(root).unwrap().with_extension("");
            let parts: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            let parts = parts.into_iter().filter(|part| part != "mod" && part != "lib").collect::<Vec<_>>();
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
            all.insert(join_all(&parts), code.join("\n"));
        }
    }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

fn join_all(path: &[String]) -> String {
    path.join("::")
}

/// The paths of the `use` declarations, with braces expanded, and whether they are exports.
fn uses(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let before = text[..at].rsplit('\n').next().unwrap().trim();
        let public = before.starts_with("pub");
        if (public || before.is_empty())
            && let Some((tree, _)) = text[at + 4..].split_once(';')
        {
            let tree: String = tree.chars().filter(|c| !c.is_whitespace()).collect();
            let mut paths = Vec::new();
            expand("", &tree, &mut paths);
            all.extend(paths.into_iter().map(|path| (public, path)));
        }
    }
    all
}

/// Expands the braces of a `use`: `a::{b, c::d}` becomes `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, all: &mut Vec<Vec<String>>) {
    let Some((before, inner)) = tree.split_once('{') else {
        let path = format!("{prefix}{tree}");
        // For a renamed import, the original name counts.
        let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
        let ends_in_self = parts.len() > 1 && parts[parts.len() - 1] == "self";
        all.push(if ends_in_self { parts[..parts.len() - 1].to_vec() } else { parts });
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    let inner = &inner[..inner.rfind('}').unwrap()];
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if at > begin {
                    expand(&format!("{prefix}{before}"), &inner[begin..at], all);
                }
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that begin with `crate::` or `super::` anywhere else in the code.
fn inline(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in text.match_indices(root) {
            let path: String =
                text[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            let parts: Vec<String> =
                path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            if parts.len() > 1 {
                all.push(parts);
            }
        }
    }
    all
}

fn top_level(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn modules_use_lower_layers_only() {
    for (krate, layers) in LAYERS {
        let modules = Modules::of(krate);
        let layer_of = |top_level: &str| layers.iter().position(|modules| modules.contains(&top_level));
        for module in modules.0.keys().filter(|module| !module.is_empty()) {
            let own = layer_of(top_level(module))
                .unwrap_or_else(|| panic!("{krate}: LAYERS does not contain {}", top_level(module)));
            for used in modules.used_by(module) {
                let below = layer_of(top_level(&used)).is_some_and(|other| other > own);
                assert!(
                    top_level(&used) == top_level(module) || below,
                    "{krate}: {module} uses {used}, which is not in a lower layer"
                );
            }
        }
        for listed in layers.iter().flat_map(|modules| modules.iter()) {
            assert!(modules.0.contains_key(*listed), "{krate}: there is no module {listed}");
        }
    }
}

#[test]
fn files_of_a_module_do_not_use_each_other_in_cycles() {
    for (krate, _) in LAYERS {
        let modules = Modules::of(krate);
        let mut done = BTreeSet::new();
        for module in modules.0.keys().filter(|module| !module.is_empty()) {
            visit(krate, &modules, module, &mut Vec::new(), &mut done);
        }
    }
}

/// Follows the uses of a module within its top-level module, depth first.
fn visit(krate: &str, modules: &Modules, module: &str, above: &mut Vec<String>, done: &mut BTreeSet<String>) {
    let cycle = above.iter().position(|other| other == module);
    assert!(cycle.is_none(), "{krate}: {} → {module}", above[cycle.unwrap_or(0)..].join(" → "));
    if !done.contains(module) {
        above.push(module.to_owned());
        for used in modules.used_by(module).iter().filter(|used| top_level(used) == top_level(module)) {
            visit(krate, modules, used, above, done);
        }
        above.pop();
        done.insert(module.to_owned());
    }
}

#[test]
fn every_form_of_use_is_found() {
    let of = |files: &[(&str, &str)]| {
        Modules(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    };
    let modules = of(&[
        ("", "mod a;\nmod b;\npub use a::Widget;"),
        ("a", "mod one;\nmod two;\npub use self::one::{Other, Widget};"),
        ("a::one", "use super::two;"),
        ("a::two", "mod tests {\n    use super::*;\n}"),
        ("b", "use crate::{Widget, a::{self, two::{X, Y}}};\nfn f() { crate::c::g(); }"),
        ("c", "use std::fmt;\npub(crate) use crate::b::f;"),
    ]);
    let used = |module: &str| modules.used_by(module).into_iter().collect::<Vec<_>>();
    assert_eq!(used("b"), ["a", "a::one", "a::two", "c"]);
    assert_eq!(used("a::one"), ["a::two"]);
    assert_eq!(used("a::two"), [""; 0]);
    assert_eq!(used("a"), [""; 0], "exports are not uses");
}

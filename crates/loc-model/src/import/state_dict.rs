//! Finds the state dict in a pickle, or describes what the pickle holds instead. No tensor values are read here.

use std::collections::BTreeSet;

use loc_net::Weights;

use super::ImportError;
use super::pickle::{Heap, Id, Object};
use super::tensor::{self, Dense, shown};

/// The keys of a checkpoint under which a state dict is searched.
pub const CHECKPOINT_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// The prefixes that wrappers add to every name: `DataParallel`, `torch.compile`.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// Returns the tensors of the pickle's only state dict, by name, without those to be skipped.
pub(super) fn find<'a>(
    heap: &Heap<'a>,
    skip: fn(&str) -> bool,
) -> Result<Vec<(&'a str, Dense<'a>)>, ImportError> {
    let Object::Dict(items) = heap.get(heap.root()) else {
        return Err(unsuitable(heap, heap.root(), ""));
    };
    let holds_tensors = |id: Id| match heap.get(id) {
        Object::Dict(items) => items.iter().any(|(_, value)| tensor::is_tensor(heap, *value)),
        _ => false,
    };
    let value_at = |key: &str| value(heap, items, key);
    let keys: Vec<&str> =
        CHECKPOINT_KEYS.into_iter().filter(|key| value_at(key).is_some_and(holds_tensors)).collect();
    match keys[..] {
        [] if holds_tensors(heap.root()) => tensors(heap, items, skip),
        [] => {
            // A module under one of the keys is more informative than the list of keys.
            let module =
                CHECKPOINT_KEYS.iter().find_map(|key| Some((key, module_class(heap, value_at(key)?)?)));
            Err(match module {
                Some((key, class)) => ImportError::Module { place: format!("under `{key}`, "), class },
                None => ImportError::NotStateDict { found: dict(heap, items) },
            })
        }
        [key] => match value_at(key).map(|id| heap.get(id)) {
            Some(Object::Dict(items)) => tensors(heap, items, skip),
            _ => Err(ImportError::NotStateDict { found: dict(heap, items) }),
        },
        _ => Err(ImportError::Ambiguous { keys: keys.into_iter().map(str::to_owned).collect() }),
    }
}

/// Removes the prefixes that all names have in common.
pub(super) fn strip_prefixes(mut weights: Weights) -> Weights {
    for prefix in PREFIXES.iter().cycle().take(2 * PREFIXES.len()) {
        if !weights.0.is_empty() && weights.0.keys().all(|name| name.starts_with(prefix)) {
            let stripped =
                weights.0.into_iter().map(|(name, weight)| (name[prefix.len()..].to_owned(), weight));
            weights = Weights(stripped.collect());
        }
    }
    weights
}

fn tensors<'a>(
    heap: &Heap<'a>,
    items: &[(Id, Id)],
    skip: fn(&str) -> bool,
) -> Result<Vec<(&'a str, Dense<'a>)>, ImportError> {
    let mut names = BTreeSet::new();
    let mut found = Vec::with_capacity(items.len());
    for &(key, value) in items {
        let Object::Text(name) = *heap.get(key) else {
            return Err(ImportError::NotStateDict { found: "a key that is not text".into() });
        };
        if skip(name) {
            continue;
        }
        if !tensor::is_tensor(heap, value) {
            let found = format!("`{}` is {}", shown(name), describe(heap, value));
            return Err(ImportError::NotStateDict { found });
        }
        let fail = |reason| ImportError::Tensor { tensor: shown(name), reason };
        if !names.insert(name) {
            return Err(fail("occurs twice".into()));
        }
        found.push((name, tensor::dense(heap, value).map_err(fail)?));
    }
    Ok(found)
}

/// Returns the value of a key; if it is repeated, the last one, as in Python.
fn value(heap: &Heap<'_>, items: &[(Id, Id)], key: &str) -> Option<Id> {
    items.iter().rev().find(|(k, _)| *heap.get(*k) == Object::Text(key)).map(|(_, value)| *value)
}

fn unsuitable(heap: &Heap<'_>, id: Id, place: &str) -> ImportError {
    match module_class(heap, id) {
        Some(class) => ImportError::Module { place: place.to_owned(), class },
        None => ImportError::NotStateDict { found: describe(heap, id) },
    }
}

/// Returns the class of a pickled `torch.nn.Module`, which is an object whose state has modules.
fn module_class(heap: &Heap<'_>, id: Id) -> Option<String> {
    let Object::Call { callable, state: Some(state), .. } = heap.get(id) else { return None };
    let Object::Dict(items) = heap.get(*state) else { return None };
    value(heap, items, "_modules")?;
    global(heap, *callable)
}

fn global(heap: &Heap<'_>, id: Id) -> Option<String> {
    match heap.get(id) {
        Object::Global { module, name } => Some(format!("{}.{}", shown(module), shown(name))),
        _ => None,
    }
}

/// Describes an object in a few words.
fn describe(heap: &Heap<'_>, id: Id) -> String {
    if tensor::is_tensor(heap, id) {
        return "a single tensor".into();
    }
    match heap.get(id) {
        Object::None => "None".into(),
        Object::Bool(_) => "a boolean".into(),
        Object::Int(_) => "a number".into(),
        Object::Text(_) => "text".into(),
        Object::Tuple(items) => format!("a tuple of {}", items.len()),
        Object::List(items) => format!("a list of {}", items.len()),
        Object::Dict(items) => dict(heap, items),
        Object::Global { .. } => format!("the class or function `{}`", global(heap, id).unwrap_or_default()),
        Object::Persistent(_) => "a storage without a tensor".into(),
        Object::Call { callable, .. } => match global(heap, *callable) {
            Some(name) => format!("the result of calling `{name}`, which is never called"),
            None => "the result of a function call, which is never executed".into(),
        },
        Object::Other(what) => (*what).into(),
    }
}

/// Describes a dict by its first keys.
fn dict(heap: &Heap<'_>, items: &[(Id, Id)]) -> String {
    if items.is_empty() {
        return "an empty dict".into();
    }
    let key = |id: Id| match heap.get(id) {
        Object::Text(text) => format!("`{}`", text.escape_debug().take(40).collect::<String>()),
        _ => describe_key(heap, id),
    };
    let shown: Vec<String> = items.iter().take(6).map(|(k, _)| key(*k)).collect();
    let more = if items.len() > shown.len() { ", …" } else { "" };
    format!("a dict without a tensor, its keys {}{more}", shown.join(", "))
}

fn describe_key(heap: &Heap<'_>, id: Id) -> String {
    match heap.get(id) {
        Object::Int(n) => n.to_string(),
        _ => "something that is not text".into(),
    }
}

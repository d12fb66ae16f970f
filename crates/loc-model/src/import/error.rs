//! The reasons why a PyTorch file cannot be imported: each kind of unsuitable file has its own error and hint.

/// Describes a file that is not a PyTorch state dict, with a hint what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not a file written by `torch.save`.
    #[error(
        "not a PyTorch file: it {found} (hint: use a .pth file written by `torch.save(model.state_dict(), path)`)"
    )]
    NotPyTorch {
        /// What it is, or how it starts.
        found: String,
    },
    /// The format of PyTorch before 1.6.
    #[error(
        "the legacy format of PyTorch before 1.6, not a zip archive (hint: in PyTorch, `torch.save(torch.load(path, \
         map_location=\"cpu\"), new_path)`)"
    )]
    Legacy,
    /// A zip archive that is damaged, or has features that PyTorch does not use.
    #[error("the zip archive cannot be read: {0} (hint: is the file complete?)")]
    Archive(String),
    /// A zip archive that `torch.save` did not write.
    #[error(
        "a zip archive without a PyTorch pickle (`data.pkl`) (hint: `torch.save(model.state_dict(), path)` writes one)"
    )]
    NoPickle,
    /// A TorchScript archive, written by `torch.jit.save`.
    #[error(
        "a TorchScript archive, a program and not a state dict (hint: in PyTorch, \
         `torch.save(torch.jit.load(path).state_dict(), new_path)`)"
    )]
    TorchScript,
    /// Written on a big-endian machine.
    #[error("its numbers are big-endian (hint: save it again on a little-endian machine)")]
    BigEndian,
    /// The pickle is damaged, or has instructions that `torch.save` does not write.
    #[error("data.pkl, byte {offset}: {reason}")]
    Pickle {
        /// Offset of the instruction in `data.pkl`.
        offset: usize,
        /// The reason.
        reason: String,
    },
    /// A pickled module, together with its class, instead of its state dict.
    #[error(
        "{place}a whole pickled module (`{class}`), not a state dict (hint: load it in PyTorch where its class is \
         known, then `torch.save(model.state_dict(), path)`)"
    )]
    Module {
        /// Empty, or its place in the checkpoint, such as "under `model`, ".
        place: String,
        /// The class of the module.
        class: String,
    },
    /// Another object written by `torch.save`, or a function call, which is never executed.
    #[error(
        "not a state dict of tensors: {found} (hint: `torch.save(model.state_dict(), path)` writes one; a checkpoint \
         may hold it under {})",
        quoted(super::CHECKPOINT_KEYS)
    )]
    NotStateDict {
        /// The content.
        found: String,
    },
    /// A checkpoint with more than one state dict.
    #[error("more than one state dict: {} (hint: save only one of them)", quoted(.keys))]
    Ambiguous {
        /// The keys of the state dicts.
        keys: Vec<String>,
    },
    /// A tensor that cannot be read.
    #[error("tensor `{tensor}`: {reason}")]
    Tensor {
        /// Its name, or the start of it.
        tensor: String,
        /// The reason.
        reason: String,
    },
}

fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{}`", n.as_ref())).collect();
    names.join(", ")
}

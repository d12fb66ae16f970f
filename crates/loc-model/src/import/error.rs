//! Why a PyTorch file cannot be imported: each kind of file that is not a state dict has its own answer.

/// What a file is instead of a PyTorch state dict, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not a file of `torch.save` at all.
    #[error(
        "not a PyTorch file: it {found} (hint: a .pth that `torch.save(model.state_dict(), path)` wrote is needed)"
    )]
    NotPyTorch {
        /// What it is, or what it starts with.
        found: String,
    },
    /// The format before PyTorch 1.6.
    #[error(
        "the legacy format of PyTorch before 1.6, not a zip archive (hint: in PyTorch, `torch.save(torch.load(path, \
         map_location=\"cpu\"), new_path)`)"
    )]
    Legacy,
    /// A zip archive that is damaged or uses what PyTorch does not.
    #[error("the zip archive cannot be read: {0} (hint: is the file complete?)")]
    Archive(String),
    /// A zip archive that `torch.save` did not write.
    #[error(
        "a zip archive without a PyTorch pickle (`data.pkl`) (hint: `torch.save(model.state_dict(), path)` writes one)"
    )]
    NoPickle,
    /// What `torch.jit.save` wrote.
    #[error(
        "a TorchScript archive, a program and not a state dict (hint: in PyTorch, \
         `torch.save(torch.jit.load(path).state_dict(), new_path)`)"
    )]
    TorchScript,
    /// Written by a machine with the other byte order.
    #[error("its numbers are big-endian (hint: save it again on a little-endian machine)")]
    BigEndian,
    /// The pickle is damaged, or is of a kind that `torch.save` does not write.
    #[error("data.pkl, byte {offset}: {reason}")]
    Pickle {
        /// Offset of the instruction in `data.pkl`.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A pickled module, with its class, instead of its state dict.
    #[error(
        "{place}a whole pickled module (`{class}`), not a state dict (hint: load it in PyTorch where its class is \
         known, then `torch.save(model.state_dict(), path)`)"
    )]
    Module {
        /// Empty, or where in the checkpoint it lies, such as "under `model`, ".
        place: String,
        /// The class of the module.
        class: String,
    },
    /// Something else that `torch.save` wrote, or a call that nobody makes.
    #[error(
        "not a state dict of tensors: {found} (hint: `torch.save(model.state_dict(), path)` writes one; a checkpoint \
         may hold it under {})",
        quoted(super::CHECKPOINT_KEYS)
    )]
    NotStateDict {
        /// What it holds.
        found: String,
    },
    /// A checkpoint with more than one state dict.
    #[error("more than one state dict: {} (hint: save the one you mean by itself)", quoted(.keys))]
    Ambiguous {
        /// The keys they lie under.
        keys: Vec<String>,
    },
    /// A tensor that cannot be read.
    #[error("tensor `{tensor}`: {reason}")]
    Tensor {
        /// Its name, or how that begins.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{}`", n.as_ref())).collect();
    names.join(", ")
}

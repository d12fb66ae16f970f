//! Annotations to samples, samples to splits, splits to batches: the data side of loc.

//! The training loop of loc: recipe, optimizer, schedule, checkpoints, resume, record.

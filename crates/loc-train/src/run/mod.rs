//! The run folder: its files, its manifest, its lock, and atomic writes.

pub(crate) mod atomic_file;
mod clock;
pub(crate) mod create;
mod dir;
mod failpoint;
mod lock;
mod manifest;
mod results_csv;

pub use self::clock::Clock;
pub(crate) use self::clock::now;
pub use self::create::RunLocation;
pub use self::dir::Run;
pub(crate) use self::lock::Lock;
pub(crate) use self::manifest::{DatasetJson, LeftOutJson, Machine, RunJson, SCHEMA, Versions};
pub use self::manifest::{Provenance, Status};
pub(crate) use self::results_csv::to_csv;

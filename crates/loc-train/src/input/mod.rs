//! The input of training: the data set, batches of photos, and cached features of a frozen backbone.

mod batch;
mod crops;
mod dataset;
mod feature_cache;
mod feature_rows;
mod outputs;
mod place;
mod source;

pub(crate) use self::batch::{Batches, TensorBatch};
pub(crate) use self::crops::{Crops, Photos};
pub use self::dataset::{choose_split, read_options};
pub(crate) use self::feature_cache::{AT_ONCE, FeatureCache, FrozenBackbone, feature_bytes};
pub(crate) use self::feature_rows::are_on_disk;
pub(crate) use self::place::Place;
pub(crate) use self::source::BatchSource;

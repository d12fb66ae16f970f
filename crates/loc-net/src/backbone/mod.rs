//! The backbones: functions that return lists of layers, one file each.

mod five_conv;

pub use five_conv::five_conv;

//! The backbones: functions that add lists of layers, one file each.

mod compact;
mod five_conv;
mod lite0;

pub(crate) use compact::compact;
pub(crate) use five_conv::five_conv;
pub(crate) use lite0::lite0;

//! One photo in, one class and one box out: the prediction library of loc.

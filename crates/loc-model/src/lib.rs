//! The trainable network of loc on Candle: ops, losses, weights, PyTorch import, ONNX export.

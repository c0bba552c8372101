"""What runs on the board; imports neither torch nor qonnx. Empty until the PYNQ driver is written."""

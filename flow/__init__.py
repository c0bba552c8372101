"""An open flow for 1-bit neural networks on FPGAs."""

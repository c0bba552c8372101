import warnings

# Brevitas says at every import that it goes without a package of GPU kernels that nothing here uses
warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")

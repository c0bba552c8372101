"""Small networks with settled BatchNorm statistics, and their QONNX graphs, for the compiler's tests."""

import torch
from qonnx.core.modelwrapper import ModelWrapper

from brevitas_models.config import NetworkConfig
from brevitas_models.data import load_samples
from brevitas_models.export import export
from brevitas_models.networks import build_network
from flow.compile import load_export


def settled_network(seed: int = 0, **config):
    """An untrained network whose BatchNorms have random scales, a few of them negative, and real statistics."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(**{"width": 8, **config})).train()
    pixels = torch.from_numpy(load_samples().images[:128]).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for block in network.blocks:
            block.norm.weight.uniform_(-0.3, 1.5)
            block.norm.bias.uniform_(-0.5, 0.5)
        for part in pixels.split(32):
            network(part)
    return network.eval()


def exported_graph(network, folder) -> ModelWrapper:
    path = folder / "network.onnx"
    export(network, path)
    return load_export(path)

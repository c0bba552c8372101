"""Networks with statistics that are not those of a fresh one."""

import torch
from torch import nn

from brevitas_models.config import NetworkConfig
from brevitas_models.networks import build_network


def lived_in(strategy: str = "qat", width: int = 8, seed: int = 0) -> nn.Module:
    """An evaluation network with random BatchNorms: negative, zero and tiny scales, small and large variances."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(strategy=strategy, width=width))
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        with torch.no_grad():
            norm.weight.copy_(torch.randn_like(norm.weight))
            norm.weight[0] = 0.0
            norm.weight[1] = 1e-6
            norm.bias.copy_(0.5 * torch.randn_like(norm.bias))
            norm.running_mean.copy_(0.3 * torch.randn_like(norm.running_mean))
            norm.running_var.copy_(torch.rand_like(norm.running_var) * 2 + 1e-4)
    return network.eval()

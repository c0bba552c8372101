import numpy as np
import pytest
import torch

from brevitas_models.data import ImageSet, load_samples


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks run faster on one thread, and tests on two workers do not fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def samples() -> ImageSet:
    return load_samples()


@pytest.fixture(scope="session")
def pixels(samples) -> torch.Tensor:
    """64 real images, float [64, 3, 32, 32] of value 0..255."""
    return torch.from_numpy(np.ascontiguousarray(samples.images[:64].transpose(0, 3, 1, 2))).float()

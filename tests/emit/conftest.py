import pytest

from flow.vendor import ROUTES
from tests.emit.projects import emitted


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Both routes in one folder."""
    folder = tmp_path_factory.mktemp("original")
    for route in ROUTES:
        emitted(folder, route)
    return folder

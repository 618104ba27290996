"""The shop that the tests of commands go to."""

from pathlib import Path

import pytest

from gateway.accounts import master_key
from tests.gateway.commands.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    master_key.create(tmp_path / "master.key")
    return Shop(tmp_path / "master.key")

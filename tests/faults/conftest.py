"""What the tests of faults share: a small study that is trained once, its disks, and the recorded messages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fault_world import World, build_world
from golden_messages import GoldenMessages
from small_disk import Disks, Mount


@pytest.fixture(scope="session")
def golden() -> GoldenMessages:
    """The recorded messages."""
    return GoldenMessages(Path(__file__).parents[1] / "golden" / "fault_messages.txt")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Datasets and stores to copy."""
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts small file systems in memory; they are unmounted at the end."""
    disks = Disks(tmp_path)
    yield disks.mount
    disks.close()

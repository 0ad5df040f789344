"""Storage on a machine that fails: full disks, limits, read-only mounts, killed and concurrent writers. All real."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from small_disk import Mount
from tepui_spec.errors import TransientError
from tepui_trainer.storage import Storage


def test_a_full_disk_loses_nothing(mount: Mount) -> None:
    """The write fails as the world's fault, in plain words; the old file, its neighbours and later writes are whole."""
    folder = mount("size=1m")
    storage = Storage(str(folder))
    storage.write("rows/a.parquet", b"a" * 1000)
    with pytest.raises(TransientError, match=r"cannot write .*rows/a.parquet: the disk is full"):
        storage.write("rows/a.parquet", b"b" * 2_000_000)
    assert storage.read("rows/a.parquet") == b"a" * 1000
    assert storage.list() == ["rows/a.parquet"]
    assert list((folder / "rows").glob(".*")) == []
    storage.write("rows/b.parquet", b"c" * 1000)
    assert storage.read("rows/b.parquet") == b"c" * 1000


def _write_five(storage: Storage) -> None:
    for i in range(5):
        storage.write(f"{i}", b"x")


def test_no_inode_left(mount: Mount) -> None:
    """A disk that is full of names rather than bytes is called full too."""
    storage = Storage(str(mount("size=1m,nr_inodes=3")))
    with pytest.raises(TransientError, match="the disk is full"):
        _write_five(storage)
    assert all(storage.read(name) == b"x" for name in storage.list())


def test_a_read_only_mount_is_the_users(mount: Mount) -> None:
    """A place that cannot be written to is a mistake in the spec."""
    folder = mount("size=1m")
    Storage(str(folder)).write("a", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    with pytest.raises(ValueError, match=r"cannot write .*b: Read-only file system"):
        Storage(str(folder)).write("b", b"y")
    with pytest.raises(ValueError, match=r"cannot remove .*a: Read-only file system"):
        Storage(str(folder)).remove("a")


LIMITED = """
import resource, sys
from tepui_spec.errors import TransientError
from tepui_trainer.storage import Storage
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    Storage(sys.argv[1]).write("a", bytes(10_000))
except TransientError as error:
    print(error)
"""


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    """A quota met in the middle of a write: the same class and words, the old file kept, no debris."""
    Storage(str(tmp_path)).write("a", b"old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "the disk is full (File too large)" in done.stdout
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


WRITER = """
import itertools, sys
from tepui_trainer.storage import Storage
storage = Storage(sys.argv[1])
for letter in itertools.cycle(sys.argv[2].encode()):
    storage.write("checkpoint", bytes([letter]) * 4_000_000)
    print(flush=True)
"""


def _writer(folder: Path, letters: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), letters], stdout=subprocess.PIPE)


def test_kill_9_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    """A writer killed while it writes, again and again: what is read is always one whole file."""
    storage = Storage(str(tmp_path))
    for _ in range(5):
        process = _writer(tmp_path, "ab")
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        content = storage.read("checkpoint")
        assert len(content) == 4_000_000
        assert len(set(content)) == 1
        assert storage.list() == ["checkpoint"]
    assert len(list(tmp_path.iterdir())) <= 2  # at most one unfinished write, whatever the number of kills


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Readers see one writer's whole file while two processes write the same one."""
    storage = Storage(str(tmp_path))
    storage.write("checkpoint", b"z" * 4_000_000)
    writers = [_writer(tmp_path, "a"), _writer(tmp_path, "b")]
    seen = set()
    for _ in range(10):
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
            content = storage.read("checkpoint")
            assert len(content) == 4_000_000
            assert len(set(content)) == 1
            seen.add(content[:1])
    for writer in writers:
        writer.kill()
        writer.communicate()
    assert seen <= {b"a", b"b"}
    assert seen

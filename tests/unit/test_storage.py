"""Storage: the same behaviour on a local folder and behind fsspec."""

import socket
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tepui_spec.errors import TransientError
from tepui_trainer.storage import Storage


@pytest.fixture(params=["local", "file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return Storage(
        {
            "local": str(tmp_path / "store"),
            "file": f"file://{tmp_path}/store/",
            "memory": f"memory://store-{uuid.uuid4().hex}",
        }[request.param]
    )


def test_what_is_written_is_read_and_replaced(storage: Storage) -> None:
    """A file holds the bytes of its last write, in folders made on the way."""
    storage.write("trials/a/x.bin", b"one")
    storage.write("trials/a/x.bin", b"two!")
    assert storage.read("trials/a/x.bin") == b"two!"


def test_empty_file_and_awkward_names(storage: Storage) -> None:
    """Empty contents, blanks, percent signs and non-ASCII names come back as they are."""
    names = ["a b.txt", "100%25.txt", "ümlaut/ß.txt", "c#?.txt"]
    for name in names:
        storage.write(name, b"")
    assert storage.list() == sorted(names)
    assert all(storage.read(name) == b"" for name in names)


def test_list_is_sorted_relative_and_of_all_depths(storage: Storage) -> None:
    """`list` gives paths that `read` takes, of one folder and not of one whose name merely begins alike."""
    for name in ("b/2.txt", "b/c/1.txt", "a.txt", "bb/x.txt"):
        storage.write(name, b"x")
    assert storage.list() == ["a.txt", "b/2.txt", "b/c/1.txt", "bb/x.txt"]
    assert storage.list("b") == ["b/2.txt", "b/c/1.txt"]
    assert storage.list("nothing") == []


def test_exists_means_a_file_or_a_folder_with_one(storage: Storage) -> None:
    """A folder exists while there is a file in it."""
    assert not storage.exists()
    assert not storage.exists("a")
    assert not storage.exists("a/b.txt")
    storage.write("a/b.txt", b"x")
    assert storage.exists()
    assert storage.exists("a")
    assert storage.exists("a/b.txt")
    assert not storage.exists("a/b")
    storage.remove("a/b.txt")
    assert not storage.exists("a")
    assert not storage.exists("a/b.txt")


def test_remove_takes_a_folder_whole(storage: Storage) -> None:
    """Removing a folder removes everything below it and nothing beside it."""
    for name in ("a/1", "a/b/2", "ab"):
        storage.write(name, b"x")
    storage.remove("a")
    assert storage.list() == ["ab"]


def test_a_killed_removal_is_finished_by_the_next(tmp_path: Path) -> None:
    """What was renamed to be removed and is still there goes with the next folder beside it."""
    storage = Storage(str(tmp_path))
    storage.write("a/1", b"x")
    storage.write("b/1", b"x")
    (tmp_path / "a").rename(tmp_path / ".a.tmp")
    (tmp_path / ".c.parquet.tmp").write_bytes(b"being written")
    storage.remove("b")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".c.parquet.tmp"]


def test_missing_is_file_not_found_and_names_the_path(storage: Storage) -> None:
    """Reading or removing what is not there is FileNotFoundError with the full place."""
    storage.write("file", b"x")
    for call in (storage.read, storage.remove):
        for path in ("no/such", "file/below"):
            with pytest.raises(FileNotFoundError, match=path):
                call(path)


@pytest.mark.parametrize(
    "path", ["", "/", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\0b", ".x.tmp", "a/.x.tmp/b"]
)
def test_paths_stay_inside(storage: Storage, path: str) -> None:
    """A path that leaves the storage, or is not in its one spelling, is refused before anything is touched."""
    with pytest.raises(ValueError, match="storage"):
        storage.write(path, b"x")
    assert storage.list() == []


def test_uri_names_what_the_user_wrote(storage: Storage) -> None:
    """`uri` is the storage's own URI with the path behind it."""
    assert storage.uri("a/b.txt") == f"{storage.root}/a/b.txt"
    assert storage.uri() == storage.root
    assert not storage.root.endswith("/")


def test_unfinished_writes_are_no_data(tmp_path: Path) -> None:
    """What a killed writer left is not listed, and the next write of the same file takes its place."""
    storage = Storage(str(tmp_path))
    (tmp_path / ".x.parquet.tmp").write_bytes(b"half a fi")
    (tmp_path / ".gone.tmp").mkdir()
    (tmp_path / ".gone.tmp" / "old").write_bytes(b"x")
    assert storage.list() == []
    assert not storage.exists()
    storage.write("x.parquet", b"whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".gone.tmp", "x.parquet"]
    storage.write("gone/new", b"y")
    storage.remove("gone")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.parquet"]


def test_a_path_below_a_file(storage: Storage) -> None:
    """A file cannot be a folder as well, wherever it lies; it stays as it was."""
    storage.write("a", b"x")
    with pytest.raises(ValueError, match=r"cannot write .*a/b"):
        storage.write("a/b", b"y")
    assert storage.read("a") == b"x"
    assert storage.list() == ["a"]


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    """The user's mistake, named."""
    storage = Storage(str(tmp_path))
    storage.write("a", b"x")
    with pytest.raises(ValueError, match=r"cannot write .*a/b.*Not a directory"):
        storage.write("a/b", b"x")
    storage.write("folder/b", b"x")
    with pytest.raises(ValueError, match=r"cannot write .*folder.*Is a directory"):
        storage.write("folder", b"x")
    assert storage.list() == ["a", "folder/b"]
    assert [p.name for p in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(("uri", "says"), [("nope://x/y", "nope.*s3://"), ("s3://bucket/x", "s3fs")])
def test_uris_that_cannot_be_opened(uri: str, says: str) -> None:
    """An unknown scheme, or one whose package is not installed, is the user's to mend."""
    with pytest.raises(ValueError, match=says):
        Storage(uri)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """A real web server on loopback over `tmp_path`."""
    (tmp_path / "x.txt").write_bytes(b"over the wire")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", server
    server.shutdown()
    server.server_close()
    thread.join()


def test_remote_faults_are_told_apart(web: tuple[str, ThreadingHTTPServer]) -> None:
    """On a real connection: found, missing, and not writable."""
    storage = Storage(web[0])
    assert storage.read("x.txt") == b"over the wire"
    with pytest.raises(FileNotFoundError, match=r"y.txt"):
        storage.read("y.txt")
    with pytest.raises(ValueError, match="cannot write http"):
        storage.write("z.txt", b"x")


def test_a_refused_connection_is_transient() -> None:
    """A server that is not there may be there later."""
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransientError, match=f"cannot read {uri}/x.txt"):
            Storage(uri).read("x.txt")

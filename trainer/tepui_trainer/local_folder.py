"""Storage in a local folder: a file appears by rename, and is on the disk before it does."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tepui_spec.errors import TransientError
from tepui_trainer.failures import FULL

USERS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL}
    | {errno.ELOOP}
)
"""errno of what a user can mend."""
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class LocalFolder:
    """A folder of this machine, or of a file system mounted on it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, data: bytes) -> None:
        """A temporary file of fixed name, locked by its writer: debris of a killed one is overwritten by the next."""
        target = self._root / path
        with faults_of(target, "write"):
            _make_folders(target.parent)
            temporary = target.with_name(f".{target.name}.tmp")
            descriptor = _open_locked(temporary)
            try:
                _write_all(descriptor, data)
                temporary.replace(target)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()
                raise
            finally:
                os.close(descriptor)
            _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        """The file's bytes."""
        target = self._root / path
        with faults_of(target, "read"):
            return target.read_bytes()

    def exists(self, path: str) -> bool:
        """Whether the file is there, or the folder with a file in it (object stores know no empty ones)."""
        target = self._root / path
        with faults_of(target, "read"):
            return next(_files(target), None) is not None if target.is_dir() else target.exists()

    def list(self, path: str) -> list[str]:
        """Files below the folder, relative to the root."""
        target = self._root / path
        with faults_of(target, "list"):
            return [file.relative_to(self._root).as_posix() for file in _files(target)] if target.is_dir() else []

    def remove(self, path: str) -> None:
        """A folder goes by rename first, so that nobody sees half of it; with it go those whose removal was killed."""
        target = self._root / path
        with faults_of(target, "remove"):
            if not target.is_dir() or target.is_symlink():
                target.unlink()
            else:
                doomed = target.with_name(f".{target.name}.tmp")
                if doomed.exists():
                    shutil.rmtree(doomed)
                target.rename(doomed)
                shutil.rmtree(doomed)
                for debris in filter(Path.is_dir, target.parent.glob(".*.tmp")):
                    shutil.rmtree(debris, ignore_errors=True)
            _sync_folder(target.parent)


@contextmanager
def faults_of(path: Path, verb: str) -> Iterator[None]:
    """Turns an OSError on `path` into FileNotFoundError, ValueError or TransientError with a sentence."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        missing = error.errno == errno.ENOENT or (error.errno == errno.ENOTDIR and verb != "write")
        if missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
        if error.errno in FULL:
            raise TransientError(
                f"cannot {verb} {path}: the disk is full ({reason}); free space or raise the quota, then run again"
            ) from error
        if error.errno in USERS:
            refused = verb in ("write", "remove") and error.errno in REFUSED
            hint = "; spec.storage must be a place that pods may write to" if refused else ""
            raise ValueError(f"cannot {verb} {path}: {reason}{hint}") from error
        raise TransientError(f"cannot {verb} {path}: {reason}") from error


def _open_locked(temporary: Path) -> int:
    """A descriptor that alone owns the temporary file: another writer may have renamed it away meanwhile."""
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_ino == temporary.stat().st_ino:
                os.ftruncate(descriptor, 0)
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _make_folders(folder: Path) -> None:
    """mkdir -p whose new names are on the disk."""
    missing = [folder]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    for new in reversed(missing[:-1]):
        new.mkdir(exist_ok=True)
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    """Files at all depths, but for unfinished ones; folders that vanish while being read are passed over."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith(".") and entry.name.endswith(".tmp"):
            continue
        if entry.is_dir():
            yield from _files(folder / entry.name)
        else:
            yield folder / entry.name

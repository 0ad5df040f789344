"""Any storage by URI through fsspec, its faults told apart: the user's (`DataError`) and the world's."""

import errno
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import fsspec
import pyarrow as pa

from tepui_spec.errors import TransientError
from tepui_trainer.failures import DataError

NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d+)-of-(?P<total>\d+)(?P<suffix>\.\w+)")
USER_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})


@contextmanager
def faults_of(uri: str) -> Iterator[None]:
    """Turns faults while reading `uri` into `DataError` or `TransientError`, each naming `uri`.

    pyarrow raises a bare OSError without errno for bytes that are not Parquet (or fail their page checksum):
    that is bad data. An OSError with an errno comes from the storage.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{uri}: {_reason(error)}") from error
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{uri}: not a readable Parquet file: {error}") from error
    except tarfile.TarError as error:
        raise DataError(f"{uri}: not a whole tar file: {error}") from error
    except OSError as error:
        if isinstance(error, (TimeoutError, ConnectionError)):
            raise TransientError(f"{uri}: {error}") from error
        if error.errno is None:
            raise DataError(f"{uri}: damaged or truncated: {error}") from error
        if error.errno in USER_ERRNOS:
            raise DataError(f"{uri}: {_reason(error)}") from error
        raise TransientError(f"{uri}: {error}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    if isinstance(error, PermissionError):
        return "permission denied"
    return str(error)


class Folder:
    """A folder of data, by the URI that the user wrote."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self.fs, self.path = fsspec.core.url_to_fs(self.uri)
        except ImportError as error:
            raise DataError(f"{uri}: {error}") from error
        except ValueError as error:
            raise DataError(f"{uri}: {error}; fsspec opens for example file://, s3://, gs://, hf://") from error
        self.path = self.path.rstrip("/")

    def uri_of(self, name: str) -> str:
        """The URI of a file in the folder, for messages."""
        return f"{self.uri}/{name}"

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or a file in it, is there."""
        with faults_of(self.uri):
            return bool(self.fs.exists(f"{self.path}/{name}" if name else self.path))

    @cached_property
    def files(self) -> dict[str, int]:
        """Every file below the folder: its relative path with "/" and its size in bytes, sorted by path."""
        with faults_of(self.uri):
            found: dict[str, dict[str, Any]] = self.fs.find(self.path, detail=True)
        prefix = self.path + "/"
        return {
            name.removeprefix(prefix): int(info["size"] or 0)
            for name, info in sorted(found.items())
            if name.startswith(prefix)
        }

    def open(self, name: str) -> Any:
        """A binary file object, positioned at the start; `faults_of` belongs around its use."""
        return self.fs.open(f"{self.path}/{name}", "rb")

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> bytes:
        """The bytes [start, stop) of a file."""
        with faults_of(self.uri_of(name)):
            content: bytes = self.fs.cat_file(f"{self.path}/{name}", start=start, end=stop)
        return content


def split_shards(folder: Folder, split: str, suffix: str) -> list[str]:
    """The files of a split, sorted: `{split}-*`, `{split}/*` or `{split}` with the suffix, at the top or in `data/`.

    Raises:
        DataError: naming the splits that there are.
    """
    stems = {name: name.removeprefix("data/") for name in folder.files if name.endswith(suffix)}
    shards = [name for name, stem in stems.items() if stem.startswith((f"{split}-", f"{split}/", f"{split}{suffix}"))]
    if not shards:
        found = sorted({stem.removesuffix(suffix).partition("-")[0].partition("/")[0] for stem in stems.values()})
        raise DataError(
            f"{folder.uri}: no files {split}-*{suffix} or {split}/*{suffix}; "
            + (f"there are splits {found[:10]}" if found else f"there are no {suffix} files at all")
        )
    _check_numbering(folder, shards)
    return shards


def _check_numbering(folder: Folder, shards: list[str]) -> None:
    """Shards that are numbered `-00000-of-00004` must all be there: an unfinished dataset is not a smaller one."""
    if (first := NUMBERED.fullmatch(shards[0])) is None:
        return
    stem, total, suffix, digits = first["stem"], first["total"], first["suffix"], len(first["number"])
    expected = {f"{stem}-{number:0{digits}d}-of-{total}{suffix}" for number in range(int(total))}
    missing = sorted(expected - set(shards))
    if missing:
        raise DataError(f"{folder.uri_of(missing[0])}: the shard is missing ({len(missing)} of {len(expected)} are)")

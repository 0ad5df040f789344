"""Storage in an object store, or anything else that fsspec opens: one put a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from tepui_spec.errors import TransientError

_USERS_STATUS = frozenset({400, 401, 403, 405, 501})
"""HTTP status codes that trying again does not change."""


class ObjectFolder:
    """A folder behind an fsspec URI."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        try:
            fs, root = fsspec.core.url_to_fs(uri)
        except ImportError as error:
            raise ValueError(f"{uri}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{uri}: {error}; fsspec opens for example file://, s3://, gs://, hf://") from error
        self._fs: Any = fs
        self._root: str = root.rstrip("/")

    def write(self, path: str, data: bytes) -> None:
        """One put, which object stores show whole or not at all. Folders are made where needed, buckets never."""
        with self._faults_of(path, "write"):
            target = f"{self._root}/{path}"
            try:
                self._fs.pipe_file(target, data)
            except FileNotFoundError as error:
                if not self._fs.exists(self._root):
                    raise NotADirectoryError(f"{self._uri} does not exist") from error
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._fs.pipe_file(target, data)

    def read(self, path: str) -> bytes:
        """One get."""
        with self._faults_of(path, "read"):
            content: bytes = self._fs.cat_file(f"{self._root}/{path}")
        return content

    def exists(self, path: str) -> bool:
        """Listings that fsspec cached are forgotten first: other pods write too."""
        with self._faults_of(path, "read"):
            self._fs.invalidate_cache()
            target = f"{self._root}/{path}".rstrip("/")
            return bool(self._fs.isfile(target) or self._fs.find(target))

    def list(self, path: str) -> list[str]:
        """Files below the folder, relative to the root."""
        with self._faults_of(path, "list"):
            self._fs.invalidate_cache()
            folder = f"{self._root}/{path}".rstrip("/") + "/"
            found: list[str] = self._fs.find(folder)
        return [name.removeprefix(self._root + "/") for name in found if name.startswith(folder)]

    def remove(self, path: str) -> None:
        """A file, or all files below a folder."""
        if not self.exists(path):
            raise FileNotFoundError(f"{self._uri}/{path}")
        with self._faults_of(path, "remove"):
            self._fs.rm(f"{self._root}/{path}", recursive=True)

    @contextmanager
    def _faults_of(self, path: str, verb: str) -> Iterator[None]:
        """Store clients raise exceptions of their own packages; what Python itself raises is a bug of ours."""
        target = f"{self._uri}/{path}"
        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(target) from error
        except PermissionError as error:
            raise ValueError(f"cannot {verb} {target}: permission denied ({error})") from error
        except (NotADirectoryError, IsADirectoryError, FileExistsError, NotImplementedError) as error:
            raise ValueError(f"cannot {verb} {target}: {error or type(error).__name__}") from error
        except Exception as error:
            if "Credentials" in type(error).__name__ or getattr(error, "status", None) in _USERS_STATUS:
                raise ValueError(f"cannot {verb} {target}: {error}") from error
            if isinstance(error, OSError) or type(error).__module__ != "builtins":
                raise TransientError(f"cannot {verb} {target}: {error or type(error).__name__}") from error
            raise

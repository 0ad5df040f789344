"""One folder for everything that a study writes, anywhere that fsspec opens: whole files only, faults told apart.

A missing file is `FileNotFoundError`; what the user can mend (a URI, a permission) is `ValueError`; everything of
the world (full disk, I/O error, connection) is `TransientError`. Each message names the path and the cause.
"""

from pathlib import Path, PurePosixPath
from typing import Protocol

from tepui_trainer.local_folder import LocalFolder


class Backend(Protocol):
    """What a kind of storage must do, on relative paths that were checked; "" is the root."""

    def write(self, path: str, data: bytes) -> None: ...
    def read(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def list(self, path: str) -> list[str]: ...
    def remove(self, path: str) -> None: ...


class Storage:
    """A study's folder. Paths are relative to it, with "/" between parts (`tepui_spec.layout` names them all).

    Raises ValueError for a URI that cannot be opened as it stands.
    """

    def __init__(self, uri: str) -> None:
        self.root = uri.rstrip("/") or "/"
        scheme, separator, rest = uri.partition("://")
        local = rest if scheme in ("file", "local") and separator else None if separator else uri
        self.local_root: Path | None = None if local is None else Path(local).absolute()
        self._backend: Backend
        if self.local_root is not None:
            self._backend = LocalFolder(self.local_root)
        else:
            from tepui_trainer.object_folder import ObjectFolder

            self._backend = ObjectFolder(self.root)

    def uri(self, path: str = "") -> str:
        """The URI of a file or folder in the storage."""
        return f"{self.root.rstrip('/')}/{_checked(path)}" if path else self.root

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all; it replaces one of the same name, and is on the disk on return.

        Raises ValueError (permission, impossible path) or TransientError (full disk, I/O error, connection).
        """
        self._backend.write(_checked(path), data)

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises FileNotFoundError, ValueError, TransientError."""
        return self._backend.read(_checked(path))

    def exists(self, path: str = "") -> bool:
        """Whether a file, or a folder with something in it, is there. Raises ValueError, TransientError."""
        return self._backend.exists(_checked(path) if path else "")

    def list(self, folder: str = "") -> list[str]:
        """Every file below a folder (all depths), as sorted paths relative to the storage; [] where it is missing.

        Raises ValueError, TransientError.
        """
        return sorted(self._backend.list(_checked(folder) if folder else ""))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it. Raises FileNotFoundError, ValueError, TransientError."""
        self._backend.remove(_checked(path))

    def local_path(self, path: str = "") -> Path | None:
        """Where a file or folder lies on this machine; None where the storage is not a local folder."""
        if self.local_root is None:
            return None
        return self.local_root / _checked(path) if path else self.local_root


def _checked(path: str) -> str:
    """The path without a trailing slash. Raises ValueError for one that leaves the storage or names nothing."""
    path = path.rstrip("/")
    parts = path.split("/")
    if not path or path != str(PurePosixPath(path)) or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"{path!r} is not a relative path inside the storage")
    if any(is_temporary(part) for part in parts):
        raise ValueError(f"{path!r}: names that begin with '.' and end with '.tmp' are the storage's own")
    return path


def is_temporary(name: str) -> bool:
    """Whether a file or folder is an unfinished write or removal, and so no data."""
    return name.startswith(".") and name.endswith(".tmp")

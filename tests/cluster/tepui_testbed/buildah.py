"""buildah with a store of its own: images are built as root in a chroot, without a daemon or a registry."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile


@dataclass(frozen=True, slots=True)
class Buildah:
    """A store of images and what is done in it."""

    folder: Path

    def has(self, name: str) -> bool:
        """Whether the store has an image of this name."""
        return _result(self._command("inspect", "--type", "image", name)).returncode == 0

    def build(
        self,
        file: Path,
        context: Path,
        name: str,
        *,
        target: str | None = None,
        ignore_file: Path | None = None,
        arguments: Mapping[str, str] | None = None,
        volumes: Mapping[Path, str] | None = None,
    ) -> None:
        """Build an image of this name; what did not change since an earlier build is taken from it.

        Raises RuntimeError with the build's last words.
        """
        options = ["--isolation=chroot", "--layers", "--pull-never", f"--file={file}", f"--tag={name}"]
        options += [f"--target={target}"] if target else []
        options += [f"--ignorefile={ignore_file}"] if ignore_file else []
        options += [f"--build-arg={key}={value}" for key, value in (arguments or {}).items()]
        options += [f"--volume={source}:{place}" for source, place in (volumes or {}).items()]
        _run(self._command("build", *options, str(context)))

    def export(self, name: str, layout: Path) -> str:
        """Write an image into an OCI layout, as far as its layers are not there; returns its manifest's digest.

        skopeo does it: `buildah push` would compress all layers each time. Raises RuntimeError with its words.
        """
        source = f"containers-storage:[overlay@{self._store}+{self._run_root}]{name}"
        with NamedTemporaryFile("r") as digest:
            options = ["--quiet", "--dest-oci-accept-uncompressed-layers", f"--digestfile={digest.name}"]
            _run(["skopeo", "copy", *options, source, f"oci:{layout}:{name.rpartition('/')[2]}"])
            return digest.read().strip()

    def remove(self) -> None:
        """Remove the store, which buildah leaves mounted on itself."""
        subprocess.run(["umount", str(self._store / "overlay")], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder)

    @property
    def _store(self) -> Path:
        return self.folder / "store"

    @property
    def _run_root(self) -> Path:
        return self.folder / "run"

    def _command(self, *words: str) -> list[str]:
        return ["buildah", f"--root={self._store}", f"--runroot={self._run_root}", "--storage-driver=overlay", *words]


def _run(command: Sequence[str]) -> None:
    done = _result(command)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout[-3000:].strip()}")


def _result(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

"""Builds the cluster's programs from pinned Go modules, each once per set of pins."""

import fcntl
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tepui_testbed.toolchain import go_command
from tepui_testbed.versions import ASSETS, FAMILY_OF, MODULES, PROGRAMS, Family, binaries, cache, place_of

MIB = 2**20


def build(names: Iterable[str] = (*PROGRAMS, *ASSETS), tell: Callable[[str], None] = print) -> dict[str, Path]:
    """Build what is missing of these programs and assets; returns where each is.

    Each appears whole, as soon as it is built, and a line with its seconds and MiB is told. Raises ValueError for an
    unknown name, RuntimeError with what the compiler said if one cannot be built.
    """
    places = {name: place_of(name) for name in _known(names)}
    missing = [name for name, place in places.items() if not place.exists()]
    if missing:
        _build_each(missing, tell)
    _link_all()
    return places


@contextmanager
def exclusive(what: str) -> Iterator[None]:
    """Holds the cache's lock of this name: one maker at a time on a machine."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _known(names: Iterable[str]) -> list[str]:
    """The names without repetition, in building order."""
    wanted = set(names)
    if unknown := wanted - set(FAMILY_OF):
        raise ValueError(f"{', '.join(sorted(unknown))}: not a part of the cluster; one of {', '.join(FAMILY_OF)}")
    return [name for name in FAMILY_OF if name in wanted]


def _build_each(missing: list[str], tell: Callable[[str], None]) -> None:
    """Build in order; Go's own caches are private, since they grow to 9 GB, and go when all is built.

    The lock is for one program at a time: who misses only one does not wait for all that another misses.
    """
    with exclusive("toolchain"):
        go = go_command()
    environment = _go_environment(cache() / "go-build", cache() / "go-modules")
    for name in missing:
        with exclusive("build"):
            if not place_of(name).exists():
                tell(_build_one(go, name, environment))
    with exclusive("build"):
        subprocess.run([go, "clean", "-cache", "-modcache"], env=environment, check=True)
        for folder in (environment["GOCACHE"], environment["GOMODCACHE"]):
            shutil.rmtree(folder, ignore_errors=True)


def _build_one(go: Path, name: str, environment: dict[str, str]) -> str:
    """Build a program or fetch an asset; returns a line with its seconds and MiB."""
    began = time.monotonic()
    place = place_of(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{name}.unfinished")
    if name in ASSETS:
        _copy_asset(go, FAMILY_OF[name], name, unfinished, environment)
    else:
        _compile(go, FAMILY_OF[name], name, unfinished, environment)
    unfinished.rename(place)
    _link_all()
    return f"{name:<24} {time.monotonic() - began:>6.0f} s {_size_mib(place):>6.1f} MiB"


def _compile(go: Path, family: Family, name: str, target: Path, environment: dict[str, str]) -> None:
    values = " ".join(f"-X {variable}={value}" for variable, value in family.link_values.items())
    options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {values}".strip()]
    _run_go([str(go), "build", *options, "-o", str(target), family.packages[name]], family, environment)


def _copy_asset(go: Path, family: Family, name: str, target: Path, environment: dict[str, str]) -> None:
    asked = [str(go), "mod", "download", "-json", family.module]
    source = Path(json.loads(_run_go(asked, family, environment))["Dir"]) / (family.assets or {})[name]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):  # the module cache is read-only, what is copied from it need not be
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def _size_mib(place: Path) -> float:
    files = place.rglob("*") if place.is_dir() else [place]
    return sum(file.stat().st_size for file in files) / MIB


def _run_go(command: list[str], family: Family, environment: dict[str, str]) -> str:
    """What it prints. Raises RuntimeError with all that it said if it fails."""
    done = subprocess.run(
        command, cwd=MODULES / family.name, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("go: downloading"))
        raise RuntimeError(f"`{' '.join(command)}` in modules/{family.name} failed:\n{said}")
    return done.stdout


def _go_environment(build_cache: Path, module_cache: Path) -> dict[str, str]:
    """The user's environment, proxies included, without what would change the programs."""
    return {
        **os.environ,
        "GOCACHE": str(build_cache),
        "GOMODCACHE": str(module_cache),
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _link_all() -> None:
    """Put a link to each program that is there into one folder, for PATH."""
    folder = binaries()
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        link, place = folder / name, place_of(name)
        if place.exists() and not link.exists():
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.symlink_to(os.path.relpath(place, folder))
            fresh.replace(link)

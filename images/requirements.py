"""What an image installs: the part of constraints.txt, hashes included, that extras or packages need.

    requirements.py pyproject.toml constraints.txt --extra trainer --extra evaluator
    requirements.py pyproject.toml constraints.txt --package torch

So a layer of packages is built anew when one of its own packages changes, and not when any other does.
"""

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any


def direct(project: dict[str, Any], extras: list[str]) -> set[str]:
    """Names that the project and its extras ask for; an extra that names another brings its too.

    Raises KeyError for an extra that the project does not have.
    """
    found = {name_of(requirement) for requirement in project["dependencies"]}
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            own = re.fullmatch(re.escape(project["name"]) + r"\[(.+)\]", requirement)
            found |= direct(project, own.group(1).split(",")) if own else {name_of(requirement)}
    return found


def blocks(constraints: str) -> dict[str, str]:
    """Each package's lines: its pin, its hashes and, as uv writes them, the packages that need it."""
    return {name_of(block): block for block in re.split(r"^(?=[a-z0-9])", constraints, flags=re.MULTILINE) if block}


def closure(wanted: set[str], pins: dict[str, str]) -> list[str]:
    """The names and all that they need, sorted. Raises ValueError for a name without a pin."""
    needs: dict[str, set[str]] = {name: set() for name in pins}
    for name, block in pins.items():
        for parent in _needed_by(block):
            needs.setdefault(parent, set()).add(name)
    found, ahead = set[str](), set(wanted)
    while ahead:
        name = ahead.pop()
        if name not in pins:
            raise ValueError(f"{name}: not pinned in the constraints; `make lock` pins it")
        found.add(name)
        ahead |= needs[name] - found
    return sorted(found)


def name_of(requirement: str) -> str:
    """The normalised name (PEP 503) at the beginning of a requirement."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def _needed_by(block: str) -> list[str]:
    """The parents that `# via` names, on its line or on the lines after it."""
    parents = re.findall(r"^    #(?: via)? +([A-Za-z0-9][\w.-]*)", block, re.MULTILINE)
    return [name_of(parent) for parent in parents if parent != "via"]


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description="Print the part of the constraints that an image needs.")
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("constraints", type=Path)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--package", action="append", default=[])
    options = parser.parse_args()
    pins = blocks(options.constraints.read_text())
    wanted = {name_of(package) for package in options.package}
    if options.extra:
        wanted |= direct(tomllib.loads(options.pyproject.read_text())["project"], options.extra)
    print("".join(pins[name] for name in closure(wanted, pins)), end="")


if __name__ == "__main__":
    main()

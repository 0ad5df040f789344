"""What an image asks for: `requirements.py pyproject.toml EXTRA...` prints the requirements of the project itself."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any


def requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """The project's dependencies and those of the extras, sorted; an extra that names another brings its too.

    Raises KeyError for an extra that the project does not have.
    """
    found = set(project["dependencies"])
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            own = re.fullmatch(re.escape(project["name"]) + r"\[(.+)\]", requirement)
            found |= set(requirements(project, own.group(1).split(","))) if own else {requirement}
    return sorted(found)


if __name__ == "__main__":
    pyproject, *wanted = sys.argv[1:]
    print("\n".join(requirements(tomllib.loads(Path(pyproject).read_text())["project"], wanted)))

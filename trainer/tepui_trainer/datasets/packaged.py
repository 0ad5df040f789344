"""Files that installed packages carry, found without importing the packages."""

from importlib import metadata
from pathlib import Path

QUICKSTART_EXTRA = "quickstart"


def installed(distribution: str) -> metadata.Distribution:
    """An installed distribution. Raises ValueError, saying what to install, if it is missing."""
    try:
        return metadata.distribution(distribution)
    except metadata.PackageNotFoundError as error:
        raise ValueError(
            f"the quickstart's images come from the package {distribution}, which is not installed: "
            f"pip install 'tepui[{QUICKSTART_EXTRA}]'"
        ) from error


def packaged_file(distribution: str, path: str) -> Path:
    """A data file of an installed distribution. Importing scikit-learn for one table would cost 4 s."""
    return Path(str(installed(distribution).locate_file(path)))


def source(distribution: str) -> str:
    """Name and version of an installed distribution, as an attribution's source."""
    return f"{distribution} {installed(distribution).version}"

"""A command whose disk is full ends with a sentence, not with a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_output_that_the_disk_does_not_take_is_the_worlds_fault() -> None:
    """Even where it is written at the very end: exit code 3 and one line."""
    command = [sys.executable, "-m", "tepui_spec.cli", "recipes"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "tepui: No space left on device (try again later)\n")


def test_a_reader_that_has_what_it_wants_is_no_error() -> None:
    """`tepui recipes | true`: nothing is said, however short the output."""
    command = f"{sys.executable} -m tepui_spec.cli recipes | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code", "said"), [(28, 3, "tepui: pod.log: no space (try"), (5, 1, "OSError")])
def test_a_file_on_a_full_disk_is_named(number: int, code: int, said: str) -> None:
    """The message says which file; another OSError is a bug and crashes."""
    program = (
        "import sys; from tepui_spec import cli\n"
        f"def answer(_): raise OSError({number}, 'no space', 'pod.log')\n"
        "cli._answer = answer\n"
        "sys.exit(cli.main(['recipes']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr

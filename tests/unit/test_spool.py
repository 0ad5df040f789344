"""The spool: events on disk at once, confirmed up to a position, owned by a lock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tepui_trainer.spool import RunHeader, Spool

HEADER = RunHeader(experiment="study", trial="0123456789ab", name="tiny", params={"seed": "0"}, started_ms=1000)


def steps(spool: Spool) -> list[object]:
    """The steps of the pending metrics."""
    return [event.body["step"] for event in spool.pending(limit=None)]


def fill(spool: Spool, count: int) -> None:
    """Append metrics of `count` steps."""
    for step in range(count):
        spool.append("metrics", step=step, values={"loss": 1 / (step + 1)})


def test_events_come_back_until_confirmed(tmp_path: Path) -> None:
    """Pending events are the ones behind the confirmed position, oldest first, with their own times."""
    spool = Spool.create(tmp_path / "a.jsonl", HEADER)
    fill(spool, 5)
    assert steps(spool) == [0, 1, 2, 3, 4]
    first = spool.pending(limit=2)
    assert [event.body["values"] for event in first] == [{"loss": 1.0}, {"loss": 0.5}]
    assert first[0].time_ms <= first[1].time_ms
    spool.confirm(first[-1].end)
    assert steps(spool) == [2, 3, 4]


def test_a_spool_is_adopted_where_its_owner_stopped(tmp_path: Path) -> None:
    """Header and position are in the file itself, whoever opens it."""
    spool = Spool.create(tmp_path / "a.jsonl", HEADER)
    fill(spool, 3)
    spool.confirm(spool.pending(limit=1)[-1].end)
    fill(spool, 1)
    spool.close()
    adopted = Spool.adopt(tmp_path / "a.jsonl")
    assert adopted is not None
    assert adopted.header == HEADER
    assert steps(adopted) == [1, 2, 0]


FILL = """
import json, resource, sys
from pathlib import Path
from tepui_trainer.spool import RunHeader, Spool
spool = Spool.create(Path(sys.argv[1]), RunHeader(experiment="s", trial="t", name="n", started_ms=1))
def fill(count):
    for step in range(count):
        spool.append("metrics", step=step, values={"loss": 1.0})
"""
OWNER = (
    FILL
    + """
fill(3)
print(flush=True)
sys.stdin.read()
"""
)


def test_a_live_spool_is_left_alone(tmp_path: Path) -> None:
    """The lock goes with the process, also when it is killed."""
    path = tmp_path / "a.jsonl"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"\n"
    assert Spool.adopt(path) is None
    owner.kill()
    owner.communicate()
    adopted = Spool.adopt(path)
    assert adopted is not None
    assert steps(adopted) == [0, 1, 2]


def test_a_spool_that_is_all_sent_goes(tmp_path: Path) -> None:
    """Nothing stays behind a finished spool; an unfinished one stays."""
    for confirmed, left in ((True, []), (False, ["a.jsonl"])):
        spool = Spool.create(tmp_path / "a.jsonl", HEADER)
        fill(spool, 2)
        if confirmed:
            spool.confirm(spool.pending()[-1].end)
        spool.close()
        assert [p.name for p in tmp_path.iterdir()] == left
    assert Spool.adopt(tmp_path / "gone.jsonl") is None


def test_what_remains_is_a_spool_of_its_own(tmp_path: Path) -> None:
    """The rest that goes to an object store holds the header and only what is not confirmed."""
    spool = Spool.create(tmp_path / "a.jsonl", HEADER)
    assert spool.remaining() == b""
    fill(spool, 4)
    spool.confirm(spool.pending(limit=3)[-1].end)
    (tmp_path / "rest.jsonl").write_bytes(spool.remaining())
    rest = Spool.adopt(tmp_path / "rest.jsonl")
    assert rest is not None
    assert rest.header == HEADER
    assert [(e.time_ms, e.body) for e in rest.pending()] == [(e.time_ms, e.body) for e in spool.pending()]


@pytest.mark.parametrize("torn", [b"", b'{"kind": "metrics", "ti', b'{"kind": "metrics"}\xff\x00', b"[1, 2]", b"\n\n"])
def test_appending_behind_a_torn_line(torn: bytes, tmp_path: Path) -> None:
    """What a killed writer left half written hides no later event."""
    path = tmp_path / "a.jsonl"
    spool = Spool.create(path, HEADER)
    fill(spool, 2)
    spool.close()
    with path.open("ab") as file:
        file.write(torn)
    adopted = Spool.adopt(path)
    assert adopted is not None
    fill(adopted, 1)
    assert steps(adopted) == [0, 1, 0]
    adopted.confirm(adopted.pending()[-1].end)
    assert steps(adopted) == []


def test_a_torn_header_means_nothing_was_recorded(tmp_path: Path) -> None:
    """Such a file can never be sent, and goes."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(HEADER.model_dump_json().encode()[:-5])
    assert Spool.adopt(path) is None
    assert not path.exists()


FULL = (
    FILL
    + """
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
fill(100)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append("end", status="FINISHED")
print(json.dumps([event.kind for event in spool.pending(limit=None)]))
"""
)


def test_a_full_disk_fails_nobody(tmp_path: Path) -> None:
    """Events that find no room are lost with a warning; those before and after are whole."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a.jsonl")], capture_output=True, text=True, check=True
    )
    kinds = json.loads(done.stdout)
    assert 10 < len(kinds) < 100
    assert kinds[-1] == "end"
    assert "an event for MLflow is lost" in done.stderr
    assert (tmp_path / "a.jsonl").stat().st_size < 2200

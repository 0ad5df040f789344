"""Events (events.k8s.io/v1) of a study. They are told once everything else is done, and losing one loses nothing."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from tepui_operator.cluster.api import Json
from tepui_operator.cluster.errors import ApiError, ConflictError
from tepui_operator.cluster.news import NOTE_LIMIT, News
from tepui_operator.cluster.paths import EVENTS, path
from tepui_operator.cluster.projection import SpecRecord
from tepui_operator.cluster.writer import Writer
from tepui_spec.experiment import API_VERSION, KIND

CONTROLLER = "tepui.dev/operator"

log = logging.getLogger(__name__)


async def tell(writer: Writer, record: SpecRecord, found: Iterable[News], instance: str) -> None:
    """Write the events; one that exists was told before."""
    for one in found:
        log.log(logging.INFO if one.type == "Normal" else logging.WARNING, "%s: %s", one.reason, one.note)
        try:
            await writer.create(path(EVENTS, record.namespace), event(record, one, instance))
        except ConflictError:
            continue
        except ApiError as error:
            log.info("no event is written: %s", error)
            return


def event(record: SpecRecord, one: News, instance: str) -> Json:
    """The event as an object. `instance` is this replica's name."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": record.namespace, "name": f"{record.name}.{record.uid[:8]}.{one.key}"},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": one.type,
        "reason": one.reason,
        "action": one.action,
        "note": one.note[:NOTE_LIMIT],
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": record.namespace,
            "name": record.name,
            "uid": record.uid,
        },
    }

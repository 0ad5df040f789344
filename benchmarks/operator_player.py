"""A Job controller that ends every trial's Job as soon as it is created, without pods: 30,000 Jobs take minutes so.

A MutatingAdmissionPolicy hands trials' Jobs over by `spec.managedBy`, the field that Kubernetes has for controllers
other than its own: to the operator they are Jobs like any others. Analyses keep their pods, which must tell laws.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from operator_watch import Jobs
from operator_work import NAMESPACE, Json

from tepui_operator.cluster.api import Api
from tepui_operator.cluster.errors import NotFoundError
from tepui_operator.cluster.paths import JOBS, path

PLAYER = "tepui.dev/benchmark"
_AT_ONCE = 16
_GROUP = "admissionregistration.k8s.io/v1"
POLICY: tuple[Json, ...] = (
    {
        "apiVersion": _GROUP,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "played-jobs"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ],
                "objectSelector": {
                    "matchExpressions": [
                        {"key": "tepui.dev/stage", "operator": "In", "values": ["train", "evaluate"]},
                    ]
                },
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": f'[JSONPatch{{op: "add", path: "/spec/managedBy", value: "{PLAYER}"}}]',
                    },
                }
            ],
        },
    },
    {
        "apiVersion": _GROUP,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "played-jobs"},
        "spec": {"policyName": "played-jobs"},
    },
)


class Player:
    """Ends Jobs that it is told of."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._created: asyncio.Queue[str] = asyncio.Queue()
        self.jobs = Jobs(self._on_created)

    def _on_created(self, name: str, line: bytes) -> None:
        if PLAYER.encode() in line and b'"startTime"' not in line:
            self._created.put_nowait(name)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(self._play())

    async def _play(self) -> None:
        while True:
            name = await self._created.get()
            with suppress(NotFoundError):  # deleted meanwhile
                await self._api.patch(path(JOBS, NAMESPACE, name, "status"), {"status": _complete()})


def _complete() -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = [
        {"type": kind, "status": "True", "reason": "Played", "lastTransitionTime": now}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {"startTime": now, "completionTime": now, "succeeded": 1, "ready": 0, "conditions": held}

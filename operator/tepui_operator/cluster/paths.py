"""Paths of the resources that the operator works with."""

from tepui_spec.crd import GROUP, PLURAL, VERSION

JOBS = "batch/v1", "jobs"
PODS = "v1", "pods"
SERVICES = "v1", "services"
CONFIG_MAPS = "v1", "configmaps"
EVENTS = "events.k8s.io/v1", "events"
WORKLOADS = "kueue.x-k8s.io/v1beta2", "workloads"
STUDIES = f"{GROUP}/{VERSION}", PLURAL

Resource = tuple[str, str]

_KINDS: dict[str, Resource] = {"Job": JOBS, "Service": SERVICES, "ConfigMap": CONFIG_MAPS}


def path(resource: Resource, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
    """The path of a collection (in all namespaces without one), an object, or its subresource."""
    version, plural = resource
    parts = ["/api" if version == "v1" else "/apis", version]
    if namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join(filter(None, (*parts, plural, name, subresource)))


def resource_of(kind: str) -> Resource:
    """The resource of a kind of child."""
    return _KINDS[kind]

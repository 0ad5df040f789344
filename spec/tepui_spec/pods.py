"""Where a study runs and where its results go: resources, retries, storage, tracking. No free pod template."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tepui_spec.base import Section, Uri

ObjectName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
        max_length=253,
        description="Name of a Kubernetes object in the study's namespace.",
    ),
]
Memory = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi|Ti)$", description="Memory such as 512Mi or 64Gi.")]


class Toleration(Section):
    """As in a pod's tolerations."""

    key: str = Field("", max_length=317)
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = Field("", max_length=63)
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Pods(Section):
    """What each training pod asks for. Evaluation and analysis pods are derived from it."""

    image: str | None = Field(
        None,
        max_length=512,
        pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$",
        description="Container image by digest. Required on a cluster, unused on one machine.",
    )
    nodes: int = Field(1, ge=1, le=1024, description="Pods of one trial: more than one make a gang over several nodes.")
    gpus_per_node: int = Field(0, ge=0, le=64, description="GPUs, and processes, of each pod. 0 trains on the CPU.")
    processes_per_node: int = Field(1, ge=1, le=64, description="Processes of each pod when gpusPerNode is 0.")
    gpu_resource: str = Field(
        "nvidia.com/gpu",
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$",
        max_length=128,
        description="The resource that GPUs are.",
    )
    gpu_memory: Memory = Field("80Gi", description="Memory of one GPU; `tepui plan` compares needs with it.")
    cpus: float = Field(1, gt=0, le=1024, description="CPU cores of each pod; threads are set to match.")
    memory: Memory = Field("2Gi", description="Main memory of each pod.")
    shared_memory: Memory = Field("1Gi", description="Size of /dev/shm, for processes of one pod.")
    node_selector: dict[str, str] = Field(default_factory=dict, max_length=50)
    tolerations: tuple[Toleration, ...] = Field((), max_length=50)
    queue: ObjectName | None = Field(None, description="Kueue LocalQueue. Without it, pods start at once.")
    priority_class: ObjectName | None = Field(None, description="PriorityClass (with a queue: WorkloadPriorityClass).")
    topology: str | None = Field(
        None,
        max_length=317,
        description="Node label within whose value all pods of a gang should be placed (Kueue topology).",
    )
    storage_secret: ObjectName | None = Field(
        None, description="Secret whose keys become environment variables, for object stores' credentials."
    )

    @property
    def processes(self) -> int:
        """Processes of each pod."""
        return self.gpus_per_node or self.processes_per_node

    @property
    def world_size(self) -> int:
        """Processes of one trial."""
        return self.nodes * self.processes


class PersistentVolumeClaim(Section):
    """A claim in the study's namespace; ReadWriteMany when pods run on several nodes."""

    claim_name: ObjectName
    path: str = Field(
        "",
        max_length=512,
        pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$",
        description="Folder inside the volume.",
    )


class Storage(Section):
    """Exactly one place for checkpoints, rows and reports."""

    uri: Uri | None = Field(None, description="Folder in an object store or file system.")
    persistent_volume_claim: PersistentVolumeClaim | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.uri is None) == (self.persistent_volume_claim is None):
            raise ValueError("needs exactly one of uri and persistentVolumeClaim")
        return self


class SecretKey(Section):
    """One key of a Secret in the study's namespace."""

    name: ObjectName
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = "token"


class MlflowServer(Section):
    """An MLflow tracking server."""

    uri: Uri | None = Field(
        None,
        description="http(s)://server:port, or sqlite:///path. On one machine by default: mlflow.db in the storage.",
    )
    token_secret: SecretKey | None = Field(None, description="Secret with the server's bearer token.")


class Tracking(Section):
    """Where people watch runs. Parquet stays the truth."""

    mlflow: MlflowServer = Field(default_factory=MlflowServer)
    enabled: bool = Field(True, description="False: rows and report only, no MLflow.")


class Retries(Section):
    """Further attempts of a trial after a failure, by class. Preemption and eviction never spend one."""

    crashed: int = Field(1, ge=0, le=100, description="The process ended in an unexpected way.")
    out_of_memory: int = Field(0, ge=0, le=100, description="GPU or main memory ran out.")
    data: int = Field(0, ge=0, le=100, description="Data could not be read, or too much of it is corrupt.")
    diverged: int = Field(0, ge=0, le=100, description="The loss became NaN or infinite.")
    storage: int = Field(3, ge=0, le=100, description="The store did not answer or was full.")
    lost: int = Field(5, ge=0, le=100, description="The pod vanished, with its node or by hand, and left no evidence.")

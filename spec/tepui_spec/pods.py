"""Where a study runs and where its results go: resources, retries, storage, tracking. No free pod template."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tepui_spec.base import Section, Uri, form

ObjectName = Annotated[
    str,
    Field(
        pattern=form(
            r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
            "lower-case letters a-z, digits, '-' and '.', beginning and ending with a letter or digit",
        ),
        min_length=1,
        max_length=253,
        description="Name of a Kubernetes object in the study's namespace.",
    ),
]
Memory = Annotated[
    str,
    Field(
        min_length=3,
        max_length=9,
        pattern=form(r"^[1-9][0-9]{0,6}(Mi|Gi|Ti)$", "a whole number with Mi, Gi or Ti, such as 512Mi or 64Gi"),
        description="Memory such as 512Mi or 64Gi.",
    ),
]
LabelValue = Annotated[
    str,
    Field(
        max_length=63,
        pattern=form(
            r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$",
            "nothing, or letters A-Z and a-z, digits, '-', '_' and '.', beginning and ending with a letter or digit",
        ),
        description="A label's value.",
    ),
]
LABEL_KEY = form(
    r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
    "a label's name, with or without a DNS prefix, such as cloud.example.com/rack",
)


class Toleration(Section):
    """A taint of nodes that pods bear, as in a pod's tolerations."""

    key: str = Field("", max_length=317, description="Key of the taint; empty with Exists: every taint.")
    operator: Literal["Exists", "Equal"] = Field("Equal", description="Exists: whatever the taint's value is.")
    value: str = Field("", max_length=63, description="Value of the taint; used by Equal.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        "", description="Effect of the taint; empty: every effect."
    )

    @model_validator(mode="after")
    def _as_kubernetes_takes_it(self) -> Self:
        if not self.key and self.operator != "Exists":
            raise ValueError("an empty key needs operator: Exists")
        if self.value and self.operator == "Exists":
            raise ValueError(f"operator Exists takes no value; it has {self.value!r}")
        return self


class Pods(Section):
    """What each training pod asks for. Evaluation and analysis pods are derived from it."""

    image: str | None = Field(
        None,
        max_length=512,
        pattern=form(
            r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$",
            "an image by digest, such as registry.example/tepui@sha256:... with 64 hexadecimal digits",
        ),
        description="Container image by digest. Required on a cluster, unused on one machine.",
    )
    nodes: int = Field(1, ge=1, le=1024, description="Pods of one trial: more than one make a gang over several nodes.")
    gpus_per_node: int = Field(0, ge=0, le=64, description="GPUs, and processes, of each pod. 0 trains on the CPU.")
    processes_per_node: int = Field(1, ge=1, le=64, description="Processes of each pod when gpusPerNode is 0.")
    gpu_resource: str = Field(
        "nvidia.com/gpu",
        pattern=form(r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$", "an extended resource with its domain, such as nvidia.com/gpu"),
        max_length=128,
        description="The resource that GPUs are.",
    )
    gpu_memory: Memory = Field("80Gi", description="Memory of one GPU; `tepui plan` compares needs with it.")
    cpus: float = Field(1, gt=0, le=1024, description="CPU cores of each pod; threads are set to match.")
    memory: Memory = Field("2Gi", description="Main memory of each pod.")
    shared_memory: Memory = Field("1Gi", description="Size of /dev/shm, for processes of one pod.")
    node_selector: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=50, description="Labels that a node must have."
    )
    tolerations: tuple[Toleration, ...] = Field((), max_length=50, description="Taints of nodes that pods bear.")
    queue: ObjectName | None = Field(None, description="Kueue LocalQueue. Without it, pods start at once.")
    priority_class: ObjectName | None = Field(None, description="PriorityClass (with a queue: WorkloadPriorityClass).")
    topology: str | None = Field(
        None,
        max_length=317,
        pattern=LABEL_KEY,
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

    claim_name: ObjectName = Field(description="Name of the claim.")
    path: str = Field(
        "",
        max_length=512,
        pattern=form(
            r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$",
            "a relative path of letters, digits, '-', '_' and '.', without '..'",
        ),
        description="Folder inside the volume.",
    )


class Storage(Section):
    """Exactly one place for checkpoints, rows and reports."""

    uri: Uri | None = Field(None, description="Folder in an object store or file system.")
    persistent_volume_claim: PersistentVolumeClaim | None = Field(
        None, description="A volume of the cluster; not for one machine."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.uri is None) == (self.persistent_volume_claim is None):
            raise ValueError("needs exactly one of uri and persistentVolumeClaim")
        return self


class SecretKey(Section):
    """One key of a Secret in the study's namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: str = Field(
        "token",
        min_length=1,
        max_length=253,
        pattern=form(r"^[-._a-zA-Z0-9]+$", "letters, digits, '-', '_' and '.'"),
        description="Key inside the Secret.",
    )


class MlflowServer(Section):
    """An MLflow tracking server."""

    uri: Uri | None = Field(
        None,
        description="http(s)://server:port, or sqlite:///path. On one machine by default: mlflow.db in the storage.",
    )
    token_secret: SecretKey | None = Field(None, description="Secret with the server's bearer token.")


class Tracking(Section):
    """Where people watch runs. Parquet stays the truth."""

    mlflow: MlflowServer = Field(default_factory=MlflowServer, description="The MLflow tracking server.")
    enabled: bool = Field(True, description="False: rows and report only, no MLflow.")


class Retries(Section):
    """Further attempts of a trial after a failure, by class. Preemption and eviction never spend one."""

    crashed: int = Field(1, ge=0, le=100, description="The process ended in an unexpected way.")
    out_of_memory: int = Field(0, ge=0, le=100, description="GPU or main memory ran out.")
    data: int = Field(0, ge=0, le=100, description="Data could not be read, or too much of it is corrupt.")
    diverged: int = Field(0, ge=0, le=100, description="The loss became NaN or infinite.")
    storage: int = Field(3, ge=0, le=100, description="The store did not answer or was full.")
    lost: int = Field(5, ge=0, le=100, description="The pod vanished, with its node or by hand, and left no evidence.")

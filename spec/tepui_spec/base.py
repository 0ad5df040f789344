"""What every spec section and payload shares: frozen, strict about unknown fields, camelCase on the wire."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A frozen part of the contract. On the wire (YAML, JSON, the CRD) its fields are camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=False,
    )


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
        description="At most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit.",
    ),
]
"""A name inside a spec (model, task, recipe, dataset): safe as a path component, a label value and an MLflow key."""

StudyName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="A DNS label of at most 40 characters: a trial's hash is added to it, and Kubernetes allows 63.",
    ),
]

Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        pattern=r"^[^\s\x00-\x1f]+$",
        description=(
            "Anything fsspec opens: file://, s3://, gs://, hf://. A path without a scheme is taken from the folder "
            "of the YAML file and works on one machine only."
        ),
    ),
]


def refuse_repeats(field: str, values: Iterable[object]) -> None:
    """Raise ValueError naming the field and the values that a list holds more than once."""
    seen: set[object] = set()
    repeated = {str(v) for v in values if v in seen or seen.add(v)}  # type: ignore[func-returns-value]
    if repeated:
        raise ValueError(f"{field} lists {', '.join(sorted(repeated))} more than once")

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


MEANING: dict[str, str] = {}
"""What each pattern of the contract asks for, in words: messages show these, never the pattern."""


def form(pattern: str, meaning: str) -> str:
    """A pattern (RE2, anchored at both ends), with its meaning noted in MEANING."""
    MEANING[pattern] = meaning
    return pattern


DNS_LABEL = form(
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "lower-case letters a-z, digits and '-', beginning and ending with a letter or digit",
)

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=form(
            r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
            "letters A-Z and a-z, digits, '-', '_' and '.', beginning and ending with a letter or digit",
        ),
        description="A name.",
    ),
]
"""A name inside a spec (model, task, recipe, dataset): safe as a path component, a label value and an MLflow key."""

StudyName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        pattern=form(
            r"^[a-z]([a-z0-9-]*[a-z0-9])?$",
            "lower-case letters a-z, digits and '-', beginning with a letter and ending with a letter or digit",
        ),
        description="Name of the study. Names of its Jobs and pods begin with it.",
    ),
]
"""40, not 63 characters: a trial's hash and a stage are added to it, and Kubernetes allows 63 in all. The Service of
a gang has its Job's name, and a Service's begins with a letter (RFC 1035)."""

Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        pattern=form(
            r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
            "a URI that fsspec opens (file://, s3://, gs://, hf://) or a path, without control characters",
        ),
        description="A URI that fsspec opens, or a path.",
    ),
]
"""A path without a scheme is taken from the folder of the YAML file, and works on one machine only."""


def refuse_repeats(field: str, values: Iterable[object]) -> None:
    """Raise ValueError naming the field and the values that a list holds more than once."""
    seen: set[object] = set()
    repeated = {str(v) for v in values if v in seen or seen.add(v)}  # type: ignore[func-returns-value]
    if repeated:
        raise ValueError(f"{field} lists {', '.join(sorted(repeated))} more than once")

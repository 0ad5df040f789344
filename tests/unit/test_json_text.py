"""JSON that no honest object holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import experiment_dict
from tepui_operator.cluster.json_text import DEEPEST, cut, parse
from tepui_spec.source import experiment_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


@given(value=JSON)
def test_what_is_not_too_deep_is_read_as_it_is(value: object) -> None:
    """Strings with quotes, brackets and backslashes too, by both ways."""
    text = json.dumps(value).encode()
    assert parse(text) == value
    assert cut(text) == text


def test_ten_thousand_levels_are_read_as_null_beyond_the_deepest() -> None:
    """The rest of the text is whole, brackets in strings are not counted."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deep = f'{{"deep": {opening * 10_000}1{closing * 10_000}, "after": "]\\"[{{"}}'
        found = parse(deep.encode())
        assert found["after"] == ']"[{'
        levels, value = 1, found["deep"]
        while value is not None:
            levels, value = levels + 1, next(iter(value)) if isinstance(value, list) else value["a"]
        assert levels == DEEPEST


@pytest.mark.parametrize("levels", [40, 900, 10_000])
def test_its_owner_is_told(levels: int) -> None:
    """A spec that is nested too deeply is refused with the place, whether it had to be cut or not."""
    document = experiment_dict()
    document["spec"]["models"][0]["args"]["patch_size"] = "DEEP"
    deep = json.dumps(document).replace('"DEEP"', "[" * levels + "]" * levels)
    with pytest.raises(
        ValueError, match=r"^spec\.models\[0\]\.args\.patch_size\[0\].*: nested more than 32 levels deep$"
    ):
        experiment_of(parse(deep.encode()))

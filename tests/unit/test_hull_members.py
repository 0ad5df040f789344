"""Which models are on the hull and what they have in common."""

from report_builders import model_point, view_with
from tepui_evaluator.hull_members import hull_members


def test_members_and_their_shares() -> None:
    """Models on the hulls of two tasks, the one of both first, and the families' shares there and in all."""
    errors = {"a": (0.1, 0.2), "b": (0.5, 0.3), "c": (0.9, 0.8), "d": (0.5, 0.7)}
    family = {"a": "vit", "b": "vit", "c": "mixer", "d": "mixer"}
    views = []
    for task, shift in (("near", 0.0), ("far", 0.5)):
        lifted = {t: (x, y + shift * (t == "b")) for t, (x, y) in errors.items()}
        points = [model_point(t, x, y, task=task, family=family[t], model=t) for t, (x, y) in lifted.items()]
        views.append(view_with(points))
    found = hull_members(views, {"parameters": {"a": 100.0, "b": 80.0, "c": 10.0, "d": 20.0}})
    assert found is not None
    tasks = [(m.point.trial, m.tasks) for m in found.members]
    assert tasks == [("a", ("near", "far")), ("c", ("near", "far")), ("b", ("near",))]
    vit = next(row for row in found.levels if (row.factor, row.level) == ("family", "vit"))
    assert (vit.models, vit.on_hull, vit.share) == (2, 2, 0.5)
    assert vit.hull_share == 2 / 3
    assert found.models == 4
    assert found.medians == (("parameters", 80.0, 50.0),)


def test_nothing_without_points() -> None:
    """No points, no hull."""
    assert hull_members([], {}) is None

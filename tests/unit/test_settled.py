"""Settled trials as numbers, and the lists of a status that they become."""

from random import Random

from cluster_objects import built
from tepui_operator.settled import Settled, first_places
from tepui_spec.status import ExperimentStatus, parse_indexes

STUDY = built(sweep={"grid": {"model": ["tiny"], "epochs": [3, 1, 2], "seed": list(range(20))}}, parallelism=4)


def test_lists_and_numbers_say_the_same() -> None:
    """From a status to numbers and back, where the order of submission is not that of the sweep."""
    random = Random(0)
    for _ in range(20):
        indexes = random.sample(range(60), random.randrange(61))
        cut = len(indexes) // 2
        settled = Settled().with_ends(
            completed=(STUDY.place_of_index[i] for i in indexes[:cut]),
            failed=(STUDY.place_of_index[i] for i in indexes[cut:]),
        )
        lists = settled.lists(STUDY)
        assert parse_indexes(lists["completed_trials"]) == set(indexes[:cut])
        assert parse_indexes(lists["failed_trials"]) == set(indexes[cut:])
        assert Settled.of(STUDY, ExperimentStatus(**lists)) == settled
        assert len(settled) == len(indexes)
        assert [settled.holds(STUDY.place_of_index[i]) for i in range(60)] == [i in indexes for i in range(60)]


def test_indexes_that_are_no_trials_are_passed_over() -> None:
    """A status that lists more than the sweep has (somebody wrote it by hand) ends no look at the study."""
    assert len(Settled.of(STUDY, ExperimentStatus(completed_trials="58-70"))) == 2


def test_first_places_ascend() -> None:
    """The lowest first."""
    assert list(first_places(0b1011000)) == [3, 4, 6]

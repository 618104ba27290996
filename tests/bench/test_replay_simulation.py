"""Simulated months whose truth is known: the replay is near, and honest about it where lengths are known."""

from random import Random

from bench import replay


def test_where_lengths_were_measured_the_truth_lies_within_the_margin() -> None:
    months = [replay.compare(600, 0.25, Random(f"t/{number}")) for number in range(10)]
    assert sum(abs(one.error) <= one.margin for one in months) >= 9
    assert max(abs(one.error) for one in months) < 0.15
    assert replay.line(0.25, months).startswith("| yes | ")


def test_where_they_were_not_an_answer_that_is_much_longer_lies_outside() -> None:
    month = replay.compare(600, 0.0, Random("t"))
    assert month.error < 0
    assert 0 < month.margin < 0.05
    assert replay.line(0.0, [month, month]).startswith("| no | ")

"""What a job says of how far it is: seldom, with the time left, and of counters within each other."""

import re
from contextlib import suppress

import pytest

from mute.jobs import progress
from mute.jobs.logs import Log


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by hand."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    yield now
    progress.listen(None)


@pytest.fixture
def log(clock, tmp_path, capsys):
    made = Log(tmp_path / "job.log", "evaluate model")
    progress.listen(made.say, lambda: made.spoke)
    return made


def test_a_line_at_most_every_ten_seconds_with_the_time_left(clock, log, capsys):
    for _ in progress.each(range(100), "batch"):
        clock[0] += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "[evaluate model] batch 10/100, about 90 s left",
        "[evaluate model] batch 20/100, about 80 s left",
    ]
    assert len(lines) == 10
    assert lines == [re.sub(r"^ *[\d.]+ s  ", "[evaluate model] ", line) for line in log.path.read_text().splitlines()]


def test_a_job_that_is_short_says_nothing(clock, log, capsys):
    for _ in progress.each(range(9), "batch"):
        clock[0] += 1
    assert not capsys.readouterr().err


def test_what_is_counted_within_counts_towards_the_whole(clock, log, capsys):
    with progress.counting(4, "cell") as cells:
        # Found from an earlier run: takes no time, and says nothing of the time that others take.
        cells.skip(2)
        for _ in range(2):
            with progress.counting(100, "token") as tokens:
                with tokens.part(75):
                    for _ in progress.each(range(3), "batch"):
                        clock[0] += 10
                clock[0] += 10
                tokens(25)
            cells()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[evaluate model] cell 2/4, token 0/100, batch 1/3, about 70 s left"
    assert lines[3] == "[evaluate model] cell 2/4, token 100/100, about 40 s left"
    assert lines[4] == "[evaluate model] cell 3/4, token 0/100, batch 1/3, about 30 s left"


def test_without_a_job_nobody_is_told(clock, capsys):
    for _ in progress.each(range(3), "batch"):
        clock[0] += 100
    assert not capsys.readouterr().err


def test_a_loop_that_is_left_early_leaves_no_counter(clock, log):
    for item in progress.each(range(3), "batch"):
        if item == 1:
            break
    with suppress(KeyError), progress.counting(3, "batch"):
        raise KeyError
    assert not progress._counters


def test_times_are_told_in_words():
    assert [progress.lasting(s) for s in (3, 300, 36000)] == ["about 3 s", "about 5 min", "about 10.0 h"]


def test_of_the_first_few_hundredths_no_time_is_told(clock, log, capsys):
    with progress.counting(100, "batch") as count:
        for _ in range(6):
            clock[0] += 10
            count()
    lines = capsys.readouterr().err.splitlines()
    assert [" left" in line for line in lines] == [False] * 4 + [True] * 2

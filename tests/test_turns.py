"""The tests in turn that a run takes are a part, others at every commit, and in time all of them."""

from turns import PARTS, taken

TESTS = [f"tests/test_pairs.py::test_pair[{number}]" for number in range(400)]


def test_a_part_is_one_in_so_many_and_another_of_every_commit():
    parts = [{test for test in TESTS if taken(commit, test)} for commit in ("a", "b")]
    for part in parts:
        assert 0.5 < len(part) * PARTS / len(TESTS) < 1.5
    assert parts[0] != parts[1]
    assert parts[0] == {test for test in TESTS if taken("a", test)}


def test_in_a_hundred_commits_every_test_has_its_turn():
    seen = {test for commit in range(100) for test in TESTS if taken(str(commit), test)}
    assert seen == set(TESTS)

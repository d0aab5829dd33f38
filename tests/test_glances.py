"""What many open pages ask for at the same time is looked up once."""

import pytest

from phonify import glances
from phonify.glances import Glances, make_token


class Looked:
    """Counts how often somebody looked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, int]:
        self.times += 1
        return {"times": self.times}


@pytest.fixture
def look() -> Looked:
    return Looked()


def test_a_second_question_gets_the_first_answer(monkeypatch, look):
    monkeypatch.setattr(glances, "LASTS", 60)
    known = Glances()
    assert known.take("key", look) == known.take("key", look)
    assert look.times == 1


def test_what_was_seen_is_looked_up_again_after_its_time(monkeypatch, look):
    monkeypatch.setattr(glances, "LASTS", 0)
    known = Glances()
    assert [known.take("key", look).seen["times"] for _ in range(3)] == [1, 2, 3]


def test_whose_glance_it_is_matters(monkeypatch, look):
    monkeypatch.setattr(glances, "LASTS", 60)
    known = Glances()
    assert known.take((1, "+14560000000"), look).seen != known.take((2, "+14560000000"), look).seen


def test_no_more_than_so_many_are_kept(monkeypatch, look):
    monkeypatch.setattr(glances, "LASTS", 60)
    monkeypatch.setattr(glances, "MOST", 3)
    known = Glances()
    for key in range(10):
        known.take(key, look)
        assert len(known._known) <= 3


def test_a_token_tells_what_differs():
    assert make_token("a", ["b"]) == make_token("a", ["b"])
    assert len({make_token("a"), make_token("b"), make_token("a", "b"), make_token("ab")}) == 4


def test_a_token_is_made_of_any_text():
    assert make_token("\ud800") != make_token("\udfff")

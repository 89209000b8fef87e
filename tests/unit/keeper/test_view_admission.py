"""Tokens and sessions, without a server."""

from __future__ import annotations

from tcvs_core.keeper.view.admission import MAX_TOKENS, TOKEN_LIFE, Admission


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_buys_one_session() -> None:
    admission = Admission()
    token = admission.issue(["main", "a"])
    admitted = admission.exchange(token)
    assert admitted is not None
    session, branches = admitted
    assert branches == ("main", "a")
    assert admission.admits(session)
    assert admission.exchange(token) is None
    assert admission.admits(session), "a refused token must not end the session"


def test_tokens_and_sessions_are_not_each_other() -> None:
    admission = Admission()
    token = admission.issue()
    assert not admission.admits(token)
    admitted = admission.exchange(token)
    assert admitted is not None
    assert admission.exchange(admitted[0]) is None
    assert admitted[1] is None


def test_nothing_is_admitted_by_default() -> None:
    admission = Admission()
    admission.issue()
    for wrong in ("", "x", "\udcff"):
        assert not admission.admits(wrong)
        assert admission.exchange(wrong) is None
    assert not admission.admits(None)


def test_a_token_grows_old() -> None:
    clock = Clock()
    admission = Admission(clock)
    early, late = admission.issue(), admission.issue()
    clock.now += TOKEN_LIFE - 0.001
    assert admission.exchange(early) is not None
    clock.now += 0.001
    assert admission.exchange(late) is None


def test_the_oldest_tokens_give_way() -> None:
    admission = Admission()
    tokens = [admission.issue() for _ in range(MAX_TOKENS + 1)]
    assert admission.exchange(tokens[0]) is None
    assert admission.exchange(tokens[1]) is not None
    assert admission.exchange(tokens[-1]) is not None

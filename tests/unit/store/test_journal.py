from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tcvs_core.ids import StateId
from tcvs_core.store.journal import Journal, JournalDamaged

ONE = StateId("20260101T000000-000000000001")
TWO = StateId("20260102T000000-000000000002")
RECORD = {"branch": "main", "stage": "packed", "parents": ["a" * 40], "picture": b"\0\1", "t": 1.5}


def test_records_last_and_come_oldest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.put(TWO, {"n": 2})
    journal.put(ONE, RECORD)
    again = Journal(tmp_path / "journal")
    assert again.entries() == [(ONE, RECORD), (TWO, {"n": 2})]
    assert again.get(ONE) == RECORD
    assert again.damaged == []


def test_a_record_is_replaced_and_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.put(ONE, {"n": 1})
    journal.put(ONE, {"n": 2})
    assert journal.get(ONE) == {"n": 2}
    journal.remove(ONE)
    journal.remove(ONE)
    assert journal.get(ONE) is None
    assert journal.entries() == []


def test_damage_is_told_and_hides_no_other_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.put(ONE, {"n": 1})
    journal.put(TWO, {"n": 2})
    path = tmp_path / f"{ONE}.cbor"
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(JournalDamaged, match=str(path)):
            journal.get(ONE)
        path.write_bytes(good[:at])
        with pytest.raises(JournalDamaged):
            journal.get(ONE)
    assert journal.entries() == [(TWO, {"n": 2})]
    assert journal.damaged == [path]


def test_a_record_under_another_name_is_damage(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.put(ONE, {"n": 1})
    (tmp_path / f"{ONE}.cbor").rename(tmp_path / f"{TWO}.cbor")
    with pytest.raises(JournalDamaged):
        journal.get(TWO)


def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, die_at_each_step: Callable[..., int]
) -> None:
    Journal(tmp_path).put(ONE, {"n": 1})
    seen = set()

    def check(_: int) -> None:
        journal = Journal(tmp_path)
        ((state, record),) = journal.entries()
        assert state == ONE
        seen.add(record["n"])
        journal.put(ONE, {"n": 1})

    die_at_each_step(lambda: Journal(tmp_path).put(ONE, {"n": 2}), check)
    assert seen == {1, 2}

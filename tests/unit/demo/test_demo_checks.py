"""The demo's own eyes: what it takes for equal, different and right must be so."""

from __future__ import annotations

import pytest
from PIL import Image

from tcvs.demo import documents, drive, windows
from tcvs.demo.claims import Claims, NotSo, differing, find_colour
from tcvs.demo.stage import Names


def test_one_pixel_of_one_step_in_one_colour_is_a_difference() -> None:
    one = Image.new("RGB", (40, 30), (10, 20, 30))
    for colour in ((11, 20, 30), (10, 19, 30), (10, 20, 31)):
        other = one.copy()
        other.putpixel((7, 5), colour)
        assert differing(one, other) == 1
        assert differing(one, other, (8, 0, 40, 30)) == 0
    assert differing(one, one.copy()) == 0


def test_pictures_of_different_sizes_differ() -> None:
    assert differing(Image.new("RGB", (4, 4)), Image.new("RGB", (4, 5))) > 0


def test_a_colour_is_found_in_the_middle_of_its_area() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste(documents.BUTTON, (20, 40, 40, 60))
    assert find_colour(picture, documents.BUTTON, (0, 0, 100, 100)) == (30, 50)
    assert find_colour(picture, documents.BUTTON, (10, 30, 100, 100)) == (30, 50)
    with pytest.raises(NotSo):
        find_colour(picture, documents.BUTTON, (50, 0, 100, 100))


def test_a_claim_that_is_not_so_ends_it_and_says_what_was_found() -> None:
    claims = Claims()
    claims.check(True, "water is wet")
    with pytest.raises(NotSo, match="not so that pigs fly; found: pigs walk"):
        claims.check(False, "pigs fly", "pigs walk")
    assert claims.made == ["water is wet"]


def test_the_plan_is_the_same_bytes_every_time_and_can_be_read() -> None:
    assert documents.plan() == documents.plan()
    lines = documents.plan_text(documents.plan()).splitlines()
    assert lines[0] == "A plan for the empty half"
    assert lines[-1] == "Decision of the group:"
    assert documents.plan_text(b"no archive") == ""


def test_lines_of_several_scripts_end_up_in_their_places() -> None:
    a, main = drive.SCRIPTS["a"], drive.MAIN
    lines = drive.expected_report(a, main).splitlines()
    assert lines[a.below] == a.line
    assert lines[main.below + 1] == main.line
    assert [line for line in lines if line not in (a.line, main.line)] == (
        documents.REPORT_TEXT.splitlines()
    )


def test_every_window_gets_a_key_and_lies_on_the_screen() -> None:
    text = windows.with_keys("<labwc_config><keyboard><default/></keyboard></labwc_config>")
    for place in windows.PLACES:
        assert text.count(f'key="{place.key}"') == 1
        left, top, right, bottom = place.page
        assert 0 <= left < right <= windows.SCREEN[0]
        assert 0 <= top < bottom <= windows.SCREEN[1]
    assert text.endswith("</keyboard></labwc_config>")


def test_numbered_names() -> None:
    assert Names().all == ["main", "explore-a", "explore-b", "explore-c"]
    assert Names("-2").explore("c") == "explore-c-2"

"""What a visitor's page remembers."""

from __future__ import annotations

from ui.visits import Visit


def test_the_tab_inspect_opens_with_the_newest_run_and_then_stays_as_it_is() -> None:
    visit = Visit()
    assert visit.opens("newest") and visit.inspected == "newest"
    assert not visit.opens("newer") and visit.inspected == "newest"


def test_a_new_caption_is_shown_when_the_tab_is_opened_next() -> None:
    visit = Visit(inspected="older", latest="caption")
    assert visit.opens("newest") and (visit.inspected, visit.latest) == ("caption", "")


def test_a_tour_that_was_begun_while_the_tab_opened_goes_on() -> None:
    visit = Visit(stop=0)
    assert not visit.opens("newest") and visit.stop == 0

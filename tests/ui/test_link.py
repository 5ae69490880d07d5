"""What a visitor's emulated link is, and that it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.fake_engine import english
from ugsd_core.errors import OptionError
from ugsd_core.wire.emulated import CONDITIONS, Conditions
from ui.language import LOCALES, say
from ui.link import OWN, LinkSetting, link_badge, link_note, link_words
from ui.runs import Update
from ui.view import RunView
from ui.visits import Visit


@pytest.mark.parametrize("name", ["wifi", "4g", "far", "satellite"])
def test_the_menu_says_the_figures_that_the_engine_uses(name: str) -> None:
    for locale in LOCALES:
        assert say(locale, f"link.{name}").endswith(CONDITIONS[name].told)


def test_a_setting_is_what_the_controls_show_and_back() -> None:
    own = Conditions(120.0, None, 3.0, 12.0)
    for conditions in (Conditions(), CONDITIONS["satellite"], own):
        assert LinkSetting.of(conditions).conditions() == conditions
    assert LinkSetting.of(own) == LinkSetting(OWN, 120.0, 12.0, None, 3.0)
    assert LinkSetting(OWN).conditions().plain, "empty fields emulate nothing"


@pytest.mark.parametrize(
    ("setting", "english", "chinese"),
    [
        (LinkSetting(OWN, -1.0), "a round trip takes 0 to 60000 ms, not -1", "往返时间应为"),
        (LinkSetting(OWN, 5.0, 6.0), "jitter is 0 to the round trip itself (5 ms), not 6 ms", "抖动应在"),
        (LinkSetting(OWN, 5.0, 1.0, 0.0), "the rate up is at least 0.001 Mbit/s, not 0", "上行速率至少"),
        (LinkSetting(OWN, 5.0, 1.0, 1.0, -2.0), "the rate down is at least 0.001 Mbit/s, not -2", "下行速率至少"),
    ],
)
def test_values_without_a_meaning_are_told_in_both_languages(setting: LinkSetting, english: str, chinese: str) -> None:
    with pytest.raises(OptionError):
        setting.conditions()
    assert english in link_note("en", setting) and chinese in link_note("zh", setting)


def test_a_link_is_said_in_words_and_one_that_is_none_is_not() -> None:
    assert link_words("en", "rtt=100,jitter=10,up=5,down=5") == "Emulated link: +100 ms ± 10, 5 Mbit/s"
    assert link_words("zh", "rtt=100") == "模拟网络：+100 ms"
    assert link_badge("en", "") == link_badge("en", "none") == ""
    assert "&lt;b&gt;" in link_badge("en", "<b>"), "of a later version, and from a file"


def test_what_stands_over_the_figures_is_not_said_again() -> None:
    far = LinkSetting("far")
    assert link_note("en", far, shown=str(CONDITIONS["far"])) == ""
    assert link_note("en", far, shown="") == link_note("en", far, shown="rtt=5") == link_note("en", far) != ""
    visit, view = Visit(), RunView()
    assert visit.link is None
    shown = [view.feed(Update(events=(replace(event, link="rtt=5"),))) for event in english()[:1]]
    visit.shows(view)
    assert visit.link == "rtt=5" and [part.badge for part in shown] == [""]
    assert view.feed(Update(events=tuple(english()[1:]))).badge is None, "what is chosen meanwhile stays"


def test_a_mistyped_link_ends_the_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    from ui.demo import main

    assert main(["--port", "0", "--no-browser", "--link", "moon"]) == 2
    assert "a link is one of none, lan, wifi, 4g, far, satellite" in capsys.readouterr().err

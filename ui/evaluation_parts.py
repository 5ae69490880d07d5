"""What the cards of the tab *Evaluate* share: their services, and small ways to make and fill components."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.annotation_hook import AnnotationQueue, RunQueue
from ui.language import LOCALES, label, say

if TYPE_CHECKING:
    from ui.clip_sounds import ClipSounds
    from ui.corpus_places import CorpusPlaces
    from ui.evaluation_jobs import EvaluationJobs
    from ui.evaluation_state import EvaluationVisits
    from ui.run_files import RunFiles
    from ui.run_folders import RunFolders
    from ui.shelf import Shelf
    from ui.visits import Visits

__all__ = ["QUIET", "Services", "Values", "html_part", "in_thread", "said_part", "show_tab", "small_button", "titled"]

#: Values of components, by component; those that are not named stay as they are.
Values = dict[Any, Any]
#: Of every event of the tab.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
#: For so long a tab that is to be opened is looked for.
TAB_WITHIN_MS = 15_000
_SAID = '<p class="status" role="status" aria-live="polite">${value}</p>'


@dataclass(frozen=True, slots=True)
class Services:
    """What all cards of the tab work with.

    Attributes:
        jobs: None where no model is loaded: nothing can be started then.
        inspected: What the tab *Inspect* shows each visitor.
        queue: Where captions go that annotators should look at.
    """

    folders: RunFolders
    places: CorpusPlaces
    visits: EvaluationVisits
    files: RunFiles
    sounds: ClipSounds
    shelf: Shelf
    inspected: Visits
    jobs: EvaluationJobs | None
    queue: AnnotationQueue = field(default_factory=RunQueue)

    @property
    def leaving(self) -> list[Callable[[str], None]]:
        """Called with a session that is over."""
        return [self.visits.leave, self.files.leave, self.sounds.leave, self.places.leave, self.folders.leave]


def html_part(elem_id: str, value_html: str = "", **settings: Any) -> gr.HTML:
    """Markup that will be made here."""
    return gr.HTML(value_html, apply_default_css=False, js_on_load=None, elem_id=elem_id, **settings)


def said_part(elem_id: str) -> gr.HTML:
    """A line that is read aloud when it changes."""
    return html_part(elem_id, html_template=_SAID, elem_classes="said")


def small_button(key: str, elem_id: str, **settings: Any) -> gr.Button:
    """A button with a name of the tables."""
    return gr.Button(label(key), size="sm", elem_id=elem_id, min_width=0, **settings)


def show_tab(name: str) -> str:
    """A script that opens one of the page's tabs.

    An event with the tabs among its outputs would do it too, and would have Gradio go through all that is inside them
    with every later update. On a narrow screen Gradio moves tabs that do not fit into a menu, where they have no name.
    A page that is just being drawn may have neither yet, so the script looks again until it has opened the tab once.
    """
    titles = json.dumps([say(locale, f"tab.{name}") for locale in LOCALES])
    return f"""() => {{
  const titles = {titles}, end = performance.now() + {TAB_WITHIN_MS};
  const inMenu = (button) => titles.includes(button.textContent.trim());
  const open = () => {{
    const named = document.querySelector('#tab-{name}-button');
    if (named?.getAttribute('aria-selected') === 'true') return;
    const listed = named ? null : [...document.querySelectorAll('.overflow-menu button')].find(inMenu);
    (named ?? listed)?.click();
    if (!listed && performance.now() < end) setTimeout(open, 100);
  }};
  open();
}}"""


def titled(title: str, inside: str, *, plain: bool = False) -> str:
    """A heading and what stands below it.

    Args:
        plain: What stands below is a sentence, not markup.
    """
    below = f'<p class="soft">{escape(inside)}</p>' if plain and inside else inside
    return f"<h2>{escape(title)}</h2>{below}"


def in_thread(work: Callable[[Callable[..., None]], object]) -> Iterator[tuple[Any, ...]]:
    """Do something that takes its time in a thread of its own, and yield what it tells of its progress.

    Args:
        work: Is given a function to tell with; what it raises is raised here at the end.
    """
    news: SimpleQueue[tuple[Any, ...] | BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            work(lambda *told: news.put(told))
            news.put(None)
        except BaseException as error:
            news.put(error)

    threading.Thread(target=run, name="evaluation", daemon=True).start()
    while True:
        told = news.get()
        while isinstance(told, tuple):  # only the last of what came meanwhile
            try:
                later = news.get_nowait()
            except Empty:
                break
            told = later
        if isinstance(told, BaseException):
            raise told
        if told is None:
            return
        yield told

"""Line charts as small SVG files: no library, text stays text, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "line_chart"]

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 210, 40, 52
#: Colours that people with colour-blindness can tell apart (Okabe and Ito); dashes tell lines apart once more.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b8860b")
DASHES = ("", "6 3", "2 3", "9 3 2 3")

Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A named row of points; one point alone is drawn as a mark, and so are all of them where `marks` says so.

    Attributes:
        bars: Lower and upper end of each point's interval, drawn as an upright line; empty or as many as points.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    marks: bool = False
    bars: tuple[tuple[float | None, float | None], ...] = ()


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], *, x_most: float, y_span: tuple[float, float]
) -> str:
    """An SVG document.

    Args:
        x_most: Right end of the x-axis, which begins at 0; points beyond it are left out.
        y_span: Ends of the y-axis; points beyond are drawn at the end.
    """
    low, high = y_span
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share = (min(high, max(low, y)) - low) / (high - low)
        return LEFT + across * x / x_most, TOP + up * (1.0 - share)

    tall = max(HEIGHT, TOP + 18 * len(lines) + 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" role="img" font-size="12" '
        'font-family="system-ui, sans-serif">',
        f"<title>{escape(title)}</title>",
        "<style>text{fill:#444}.a{stroke:#999;fill:none}.g{stroke:#9995;fill:none}"
        "@media (prefers-color-scheme:dark){text{fill:#ccc}}</style>",
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    parts += _axes(x_label, y_label, x_most, y_span, place)
    for number, line in enumerate(lines):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
        spots = [place(x, y) for x, y in line.points if 0.0 <= x <= x_most]
        if len(spots) > 1 and not line.marks:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
            )
        for (x, _), (least, most) in zip(line.points, line.bars, strict=False):
            if least is not None and most is not None and 0.0 <= x <= x_most:
                (across_x, bottom), (_, top) = place(x, least), place(x, most)
                parts.append(
                    f'<line x1="{across_x:.1f}" y1="{bottom:.1f}" x2="{across_x:.1f}" y2="{top:.1f}" stroke="{colour}" '
                    'stroke-width="1.5" stroke-opacity="0.45"/>'
                )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
            for x, y in spots
            if len(spots) == 1 or line.marks
        ]
        y = TOP + 8 + 18 * number
        x = WIDTH - RIGHT + 14
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 24}" y2="{y}" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/><text x="{x + 30}" y="{y + 4}">{escape(line.name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(x_label: str, y_label: str, x_most: float, y_span: tuple[float, float], place: Place) -> list[str]:
    low, high = y_span
    tick = ".2f" if high - low < 5 else ".4g"
    parts = []
    for n in range(6):
        x, y = x_most * n / 5, low + (high - low) * n / 5
        left, bottom = place(x, low)
        parts.append(f'<text x="{left:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{x:.3g}</text>')
        _, height = place(0.0, y)
        right = place(x_most, y)[0]
        parts.append(f'<line class="g" x1="{LEFT}" y1="{height:.1f}" x2="{right:.1f}" y2="{height:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{y:{tick}}</text>')
    (x0, y0), (x1, y1) = place(0.0, low), place(x_most, high)
    parts.append(f'<path class="a" d="M{x0:.1f},{y1:.1f} V{y0:.1f} H{x1:.1f}"/>')
    parts.append(f'<text x="{(x0 + x1) / 2:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (y0 + y1) / 2
    parts.append(
        f'<text x="16" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 16 {middle:.1f})">'
        f"{escape(y_label)}</text>"
    )
    return parts

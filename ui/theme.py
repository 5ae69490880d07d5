"""Design tokens of the page: colours, spaces and faces, light and dark, and the Gradio theme made of them.

Everything that has a colour takes it from a CSS variable ``--u-…`` defined here. Gradio puts the class ``dark`` on the
body when the visitor's system prefers dark (or ``?__theme=dark`` asks for it), so that one class serves both.
Fonts are the system's own: nothing is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.assets import web_asset

if TYPE_CHECKING:
    from gradio.themes import Base

__all__ = [
    "DARK",
    "HEAT_MAX",
    "LIGHT",
    "MONO_FACE",
    "READING_FACE",
    "UI_FACE",
    "contrast",
    "heat_colour",
    "page_css",
    "theme",
]

#: Colours by role. Text roles keep a contrast of 4.5 : 1 on ``card`` and ``paper`` (a test holds it).
LIGHT: dict[str, str] = {
    "paper": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#1b1d22",
    "soft": "#5c6270",
    "faint": "#6b7180",
    "line": "#e4e1d9",
    "edge": "#8b8f99",
    "accent": "#2f5d8a",
    "accent-strong": "#244b70",
    "on-accent": "#ffffff",
    "wash": "#eef3f8",
    "ok": "#0a7d5a",
    "no": "#b4431f",
    "fix": "#1f5fa8",
    "warn": "#8a5a00",
    "warn-wash": "#fdf4e0",
    "heat": "#f6a81a",
}
DARK: dict[str, str] = {
    "paper": "#14161a",
    "card": "#1c1f25",
    "ink": "#eceae4",
    "soft": "#a3a9b6",
    "faint": "#949aa8",
    "line": "#2f343d",
    "edge": "#6b7280",
    "accent": "#8fbbe8",
    "accent-strong": "#b1d0f0",
    "on-accent": "#14161a",
    "wash": "#232a33",
    "ok": "#4fd1a5",
    "no": "#ff9a76",
    "fix": "#8fbef5",
    "warn": "#e5b454",
    "warn-wash": "#2d2718",
    "heat": "#e8980f",
}
#: Opacity of the heat colour at full entropy: as strong as the text on it can bear.
HEAT_MAX: dict[str, float] = {"light": 0.78, "dark": 0.5}

UI_FACE = ("system-ui", "Segoe UI", "Roboto", "Noto Sans", "Noto Sans CJK SC", "sans-serif")
READING_FACE = (
    "Iowan Old Style", "Palatino Linotype", "Noto Serif", "Songti SC", "Noto Serif CJK SC", "Georgia", "serif"
)  # fmt: skip
MONO_FACE = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")


def _rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def heat_colour(palette: dict[str, str], scheme: str, heat: float) -> str:
    """The background of a chip of this heat (0…1) on a card, as ``#rrggbb``: one hue, its strength is the entropy."""
    alpha = max(0.0, min(1.0, heat)) * HEAT_MAX[scheme]
    mixed = (a * alpha + b * (1 - alpha) for a, b in zip(_rgb(palette["heat"]), _rgb(palette["card"]), strict=True))
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in mixed)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two ``#rrggbb`` colours, 1…21."""

    def luminance(colour: str) -> float:
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _variables(palette: dict[str, str], scheme: str) -> str:
    pairs = [f"--u-{name}:{colour}" for name, colour in palette.items()]
    pairs.append("--u-heat-rgb:" + ",".join(str(round(255 * channel)) for channel in _rgb(palette["heat"])))
    pairs.append(f"--u-heat-max:{HEAT_MAX[scheme]}")
    return ";".join(pairs)


def _face(names: tuple[str, ...]) -> str:
    return ",".join(f'"{name}"' if " " in name else name for name in names)


def page_css() -> str:
    """The page's whole style sheet, the variables first."""
    faces = f"--u-ui:{_face(UI_FACE)};--u-read:{_face(READING_FACE)};--u-mono:{_face(MONO_FACE)}"
    roots = (
        f":root{{color-scheme:light;{_variables(LIGHT, 'light')};{faces}}}\n"
        f"body.dark,.dark{{color-scheme:dark;{_variables(DARK, 'dark')}}}\n"
    )
    return roots + "\n".join(
        web_asset(f"{name}.css")
        for name in ("page", "token_strip", "inspector", "figures", "plots", "compare", "evaluation", "annotate")
    )


def theme() -> Base:
    """The Gradio theme that wears the same tokens."""
    import gradio as gr

    def both(**roles: str) -> dict[str, str]:
        return {name + suffix: f"var(--u-{role})" for name, role in roles.items() for suffix in ("", "_dark")}

    base = gr.themes.Base(font=UI_FACE, font_mono=MONO_FACE, radius_size=gr.themes.sizes.radius_md)
    return base.set(
        **both(
            body_background_fill="paper",
            body_text_color="ink",
            body_text_color_subdued="soft",
            background_fill_primary="card",
            background_fill_secondary="paper",
            border_color_primary="line",
            border_color_accent="accent",
            color_accent_soft="wash",
            block_background_fill="card",
            block_border_color="line",
            block_info_text_color="soft",
            block_label_background_fill="card",
            block_label_border_color="line",
            block_label_text_color="soft",
            block_title_text_color="ink",
            panel_background_fill="card",
            panel_border_color="line",
            input_background_fill="card",
            input_background_fill_focus="card",
            input_border_color="edge",
            input_border_color_focus="accent",
            input_placeholder_color="soft",
            slider_color="accent",
            loader_color="accent",
            accordion_text_color="ink",
            checkbox_background_color="card",
            checkbox_background_color_selected="accent",
            checkbox_border_color="edge",
            checkbox_border_color_selected="accent",
            checkbox_border_color_focus="accent",
            checkbox_label_background_fill="card",
            checkbox_label_background_fill_hover="wash",
            checkbox_label_background_fill_selected="wash",
            checkbox_label_border_color="line",
            checkbox_label_text_color="ink",
            checkbox_label_text_color_selected="ink",
            button_primary_background_fill="accent",
            button_primary_background_fill_hover="accent-strong",
            button_primary_border_color="accent",
            button_primary_text_color="on-accent",
            button_secondary_background_fill="card",
            button_secondary_background_fill_hover="wash",
            button_secondary_border_color="line",
            button_secondary_text_color="ink",
            button_cancel_background_fill="card",
            button_cancel_text_color="no",
            button_cancel_border_color="line",
            link_text_color="accent",
            link_text_color_hover="accent-strong",
            error_background_fill="card",
            error_text_color="no",
            error_border_color="no",
        ),
        color_accent="var(--u-accent)",
        block_shadow="none",
        block_label_shadow="none",
        input_shadow="none",
        input_shadow_focus="none",
        button_primary_shadow="none",
        checkbox_shadow="none",
        block_border_width="0px",
        block_padding="0px",
        layout_gap="12px",
        form_gap_width="0px",
        body_text_size="15px",
        block_title_text_size="13px",
        block_info_text_size="12px",
        block_label_text_size="12px",
    )

"""A figure as part of a page: SVG that says in words what it shows, and shares no name with the other figures."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, ParamSpec, TypeVar
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

from pamfn.figures.style import styled
from tuning.report.tables import scrolling

P = ParamSpec("P")
Made = TypeVar("Made")

PLAIN: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
}  # a dollar in a name is a dollar; text stays text
LONGEST = 48  # characters of a name in a figure
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # what XML or a line of text cannot hold


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its words.

    Args:
        key: Its name in the page: letters, digits and hyphens.
        title: What it is, in a few words.
        words: What it shows, for who cannot see it.
        figure: The figure.
        caption: What stands below it.
        tips: What is told of a part of it that is pointed at, by the part's ``gid``.
    """

    key: str
    title: str
    words: str
    figure: Figure
    caption: str = ""
    tips: Mapping[str, str] = field(default_factory=dict)


def plainly(draw: Callable[P, Made]) -> Callable[P, Made]:
    """Returns a drawing function in the style of the paper's figures, in which no text is taken for a formula."""
    in_style = styled(draw)  # type: ignore[arg-type]  # whatever it makes of its figure

    def within(*args: P.args, **kwargs: P.kwargs) -> Made:
        with rc_context(PLAIN):
            return in_style(*args, **kwargs)  # type: ignore[return-value]

    within.__doc__ = draw.__doc__
    return within


def printable(text: object, longest: int = LONGEST) -> str:
    """Returns a text as a figure can hold it: on one line, without control characters, and not too long."""
    found = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))
    return found if len(found) <= longest else f"{found[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def html(drawing: Drawing) -> str:
    """Returns a figure for a page."""
    caption = f"<figcaption>{escape(drawing.caption)}</figcaption>" if drawing.caption else ""
    return f"<figure>{scrolling(_inline(drawing), drawing.title)}{caption}</figure>"


def _inline(drawing: Drawing) -> str:
    root = ElementTree.fromstring(_svg(drawing))
    root.set("role", "img")
    root.set("aria-labelledby", f"{drawing.key}-title {drawing.key}-words")
    for name in ("width", "height"):  # in points; the style sheet knows better
        root.attrib.pop(name, None)
    width = drawing.figure.get_figwidth()
    root.set("style", f"--inches: {width:g}")
    for parent in root.iter():
        for child in [c for c in parent if c.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)
    _tell(root, drawing.tips)
    _rename(root, drawing.key)
    for place, (kind, text) in enumerate((("title", drawing.title), ("words", drawing.words))):
        element = ElementTree.Element("title" if kind == "title" else "desc", {"id": f"{drawing.key}-{kind}"})
        element.text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _svg(drawing: Drawing) -> bytes:
    content = io.BytesIO()
    with rc_context({**PLAIN, "svg.hashsalt": drawing.key}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's fonts may have it
        drawing.figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _tell(root: ElementTree.Element, tips: Mapping[str, str]) -> None:
    """Gives parts of a figure a title, which browsers show where they are pointed at."""
    for element in root.iter():
        if tip := tips.get(element.get("id", "")):
            title = ElementTree.Element("title")
            title.text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", tip)
            element.insert(0, title)


def _rename(root: ElementTree.Element, key: str) -> None:
    """Takes away names that nothing refers to, and makes the others the figure's own; HTML needs no name spaces."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            local = name.rpartition("}")[2]
            if local == "href" and value.startswith("#"):
                value = f"#{key}-{value[1:]}"
            element.set(local, _REFERENCE.sub(rf"url(#{key}-\1)", value) if local != "id" else value)
    used = {e.get("href", "")[1:] for e in root.iter()}
    used |= {f for e in root.iter() for value in e.attrib.values() for f in _REFERENCE.findall(value)}
    for element in root.iter():
        own = f"{key}-{element.attrib.pop('id', '')}"
        if own in used:
            element.set("id", own)

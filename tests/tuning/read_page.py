"""A page of a report as a browser would take it in: what it says, what it holds, and what it would fetch."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

VOID = ("meta", "br", "hr", "img", "input", "link")


class Page(HTMLParser):
    """What is in a page.

    Attributes:
        open: Elements that were opened and not closed.
        fetched: Addresses that a browser would fetch or go to, those within the page left out.
        handlers: Attributes that run a script.
        ids: How often each name is given.
        tags: How often each element occurs.
        links: Names in the page that are linked to.
        words: All text, one piece an element.
        figures: For each drawing, the words of its title and its description.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open, self.fetched, self.handlers, self.links = [], [], [], []
        self.ids, self.tags = Counter(), Counter()
        self.words, self.figures = [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                (self.links if value.startswith("#") else self.fetched).append(value)
            if name.startswith("on"):
                self.handlers.append((tag, name))
            if name == "id":
                self.ids[value] += 1
        if tag == "svg":
            self.figures.append(["", ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-2:] in (["svg", "title"], ["svg", "desc"]):
            self.figures[-1][self.open[-1] == "desc"] += data
        if self.open and self.open[-1] not in ("style", "title", "desc"):
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that it says."""
        return "\n".join(self.words)


def read(text: str) -> Page:
    """Reads a page; fails where elements are not closed in order."""
    page = Page()
    page.feed(text)
    page.close()
    return page

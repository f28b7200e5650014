"""An element of an HTML page by its CSS selector, at a cost that no page can drive up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LARGEST_LETTERS = 1 << 20
_MOST_ELEMENTS = 10_000
_MOST_CHILDREN = 2_000  # of one element: `:last-child` looks at all of them for each of them
_MOST_ATTRIBUTES = 500  # of one element: each is put behind all before it
_LONGEST_SELECTOR = 200


def text_of(page: str, selector: str) -> str | None:
    """The text of the first element that a selector (CSS 3) finds, white space run together; None if there is none.

    Raises `ValueError` for a selector that is none, or that is as costly as a page is large squared, and for a page of
    more elements than a person reads.
    """
    if not page.strip():
        return None
    if len(page) > LARGEST_LETTERS:
        raise ValueError(f"css() reads pages of at most {LARGEST_LETTERS} letters, and this one has {len(page)}")
    path = _path(selector)
    root = _parse(page)
    found: Any = root.xpath(path) if root is not None else []
    return " ".join("".join(map(str, found[0].itertext())).split()) if found else None


def _path(selector: str) -> str:
    from cssselect import HTMLTranslator, SelectorError

    if len(selector) > _LONGEST_SELECTOR:
        raise ValueError(f"css() takes selectors of at most {_LONGEST_SELECTOR} letters")
    if selector.count("~") - selector.count("~=") > 1:
        raise ValueError("css() takes selectors with one `~` at most")
    try:
        return f"({HTMLTranslator().css_to_xpath(selector)})[1]"
    except SelectorError as error:
        raise ValueError(f"{selector} is not a selector: {error}") from error


def _parse(page: str) -> Any:
    from lxml import etree  # 30 ms, and few journeys read pages

    page = _DECLARATION.sub("", page, count=1)
    bounds: Any = _Bounds()
    etree.HTML(page, etree.HTMLParser(target=bounds))
    return etree.HTML(page)


_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*>")  # of XHTML; it speaks of bytes, and this is text by now


class _Bounds:
    """Hears what a page consists of before a tree is made of it, and ends at the first thing that is too many: a tree
    would take 100,000 attributes of one element in the time of their number squared."""

    def __init__(self) -> None:
        self._elements = 0
        self._children: list[int] = [0]
        self._open: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        self._children[-1] += 1
        _check(self._elements, _MOST_ELEMENTS, "elements")
        _check(self._children[-1], _MOST_CHILDREN, "elements side by side")
        _check(len(attributes), _MOST_ATTRIBUTES, "attributes on one element")
        self._open.append(tag)
        self._children.append(0)

    def end(self, tag: str) -> None:
        ended = "" if tag in self._open else tag
        while ended != tag:
            ended = self._open.pop()
            self._children.pop()

    def data(self, text: str) -> None:
        """Text costs no more than its length."""

    def close(self) -> None:
        """There is no tree to hand out."""


def _check(number: int, most: int, what: str) -> None:
    if number > most:
        raise ValueError(f"css() reads pages of at most {most} {what}, and this one has more")

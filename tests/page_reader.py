"""The page as its elements."""

import html
import html.parser

VOID = {"meta", "wbr", "br", "hr", "input"}


class Reader(html.parser.HTMLParser):
    """Elements in order, each with its attributes and its text; rejects what is not properly nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """(attributes, text) of every element of that name with these attributes."""
        return [
            (found, "".join(self.texts[i]))
            for i, (name, found) in enumerate(self.elements)
            if name == tag and all(found.get(key.rstrip("_").replace("_", "-")) == v for key, v in attributes.items())
        ]

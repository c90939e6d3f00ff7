"""The report page: self-contained, and nothing of the data is taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser

from sortgate_training.loop import Epoch, History
from sortgate_training.metrics import measure
from sortgate_training.report import render_report


class Tags(HTMLParser):
    """Collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


def test_the_page() -> None:
    label = "<script>alert(1)</script>"
    metrics = measure([label, label, "b"], [label, "b", "b"], [label, "b"])
    history = History(
        [Epoch(1, 0.5, 0.6, 0.7, 0.8, 100.0, 1.0), Epoch(2, 0.4, 0.6, 0.7, 0.75, 100.0, 1.0)], 1, "all done"
    )
    page = render_report("toy", metrics, "test", history, {"seed": 3}, ["a note & more"]).decode()
    parser = Tags()
    parser.feed(page)
    names = [name for name, _ in parser.tags]
    assert "script" not in names
    assert names.count("table") == 3
    assert not any({"src", "href"} & set(attributes) for _, attributes in parser.tags)
    for words in (label, "66.7%", "a note & more", "1 (kept)", "all done", "0.7500", "macro average"):
        assert words in parser.words

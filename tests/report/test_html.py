"""The page: nothing from a network, everything escaped, and built so that it can be read without a mouse."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from perfcrew.core.charts import FlameFrame
from perfcrew.core.prose import Prose
from perfcrew.core.report import Quote, Report
from perfcrew.report import html
from perfcrew.report.drawing import flame_of
from perfcrew.report.html_charts import flame_boxes, waterfall_rows
from perfcrew.report.html_text import recipe, text

VOID = {"meta", "br", "img", "input", "link", "hr", "path", "line", "rect", "circle", "polyline", "wbr"}


class Page(HTMLParser):
    """Collects what the tests ask for, and notices tags that are not closed in their order."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.crossed.append(tag)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag == name]


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html.render(report)


def test_tags_are_closed_and_ids_are_unique(page: str) -> None:
    parsed = Page(page)
    assert parsed.crossed == [] and parsed.open == []
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_a_network(page: str) -> None:
    parsed = Page(page)
    loading = [a for _, a in parsed.tags if any((a.get(k) or "").startswith(("http", "//")) for k in ("src", "href"))]
    assert loading == [] and parsed.all("link") == [] and parsed.all("img") == []
    assert "@import" not in page and "url(" not in page and "fetch(" not in page
    assert "default-src 'none'" in page


def test_every_link_leads_somewhere(page: str) -> None:
    parsed = Page(page)
    ids = {attrs.get("id") for _, attrs in parsed.tags}
    assert {(a["href"] or "")[1:] for a in parsed.all("a")} <= ids


def test_it_can_be_read_without_seeing_and_without_a_mouse(page: str) -> None:
    parsed = Page(page)
    assert parsed.all("html")[0]["lang"] == "en" and parsed.all("a")[0]["class"] == "skip"
    assert len(parsed.all("table")) == len(parsed.all("caption"))
    assert all(a.get("scope") in ("col", "row") for a in parsed.all("th"))
    assert all(
        a.get("tabindex") == "0" and a.get("aria-label") for a in parsed.all("div") if a.get("class") == "scroll"
    )
    assert all(a.get("aria-hidden") or a.get("aria-label") for a in parsed.all("svg"))
    boxes = [a for a in parsed.all("button") if a.get("role") == "treeitem"]
    assert [a["tabindex"] for a in boxes].count("0") == 1
    levels = [int(h[1]) for h in re.findall(r"<(h[1-6])[ >]", page)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


def test_light_dark_phone_and_paper_are_thought_of(page: str) -> None:
    assert "prefers-color-scheme: dark" in page and "@media print" in page and "max-width: 40rem" in page
    assert 'name="viewport"' in page and "prefers-reduced-motion" in page


def test_what_a_target_says_is_no_markup(report: Report) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    quote = Quote(text=evil, ref=report.assumptions[0].ref)
    section = report.findings[0]
    finding = section.finding.model_copy(update={"title": evil, "endpoint": f"GET /{evil}"})
    changed = report.model_copy(
        update={
            "title": evil,
            "summary": Prose(text=f"{evil} `{evil}`"),
            "assumptions": (quote,),
            "findings": (section.model_copy(update={"finding": finding}),),
        }
    )
    parsed = Page(html.render(changed))
    assert len(parsed.all("script")) == 1 and parsed.all("img") == []


def test_a_number_leads_to_its_evidence(report: Report) -> None:
    figure = report.summary.figures[0]
    assert f'<a class="n" href="#{figure.refs[0].evidence}"' in text(report.summary)


def test_a_run_of_equal_spans_is_one_row(report: Report) -> None:
    rows = waterfall_rows(report.charts.waterfalls[0])
    assert [row.times for row in rows] == [1, 1, 49]
    assert all(0 <= row.left <= 100 and row.left + row.width <= 100.5 for row in rows)


def test_flame_boxes_lie_within_their_parents() -> None:
    root = flame_of(["a;b;c 60", "a;b 20", "a;d 15", "e 5", "not a stack", "x y z"])
    assert root == FlameFrame(
        name="all",
        samples=100,
        children=(
            FlameFrame(
                name="a",
                samples=95,
                children=(
                    FlameFrame(name="b", samples=80, children=(FlameFrame(name="c", samples=60),)),
                    FlameFrame(name="d", samples=15),
                ),
            ),
            FlameFrame(name="e", samples=5),
        ),
    )
    boxes = {b.name: b for b in flame_boxes(root, ["c"])}
    assert (boxes["b"].left, boxes["b"].width, boxes["b"].depth) == (0, 80, 1)
    assert (boxes["d"].left, boxes["e"].left) == (80, 95) and boxes["c"].application and not boxes["d"].application


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("one `two`\nthree", "<p>one <code>two</code> three</p>"),
        ("```python\na < b\n```", "<pre><code>a &lt; b</code></pre>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("# Head\n\ntext", "<p>Head</p><p>text</p>"),
        ("text\n```sql\nSELECT 1\n```\nmore", "<p>text</p><pre><code>SELECT 1</code></pre><p>more</p>"),
        ("<b>no</b>", "<p>&lt;b&gt;no&lt;/b&gt;</p>"),
        ("", ""),
    ],
)
def test_recipes(markdown: str, expected: str) -> None:
    assert recipe(markdown) == expected


@pytest.mark.chromium
def test_a_real_browser_lays_it_out_and_asks_for_nothing(page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    asked = (
        "<script>addEventListener('load', () => { const page = document.documentElement; document.title = 'loaded '"
        " + performance.getEntriesByType('resource').length + ' ' + (page.scrollWidth - page.clientWidth) })</script>"
        "</body>"
    )
    (tmp_path / "asked.html").write_text(page.replace("</body>", asked), encoding="utf-8")
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--user-data-dir={tmp_path}/p",
    ]
    done = subprocess.run(
        [*command, "--window-size=500,900", (tmp_path / "asked.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "<title>loaded 0 0</title>" in done.stdout

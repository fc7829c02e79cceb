"""The page: self-contained, with every part, and with the numbers of the JSON."""

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from learner.judgement.head_contribution import HeadContribution
from tests.report_samples import sample_content
from trimtab.policy_page.page import number_text, percent, render_page, role_text, shown_points, signed

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
VOID = {"meta", "br", "path", "line", "rect", "circle"}


class Reader(HTMLParser):
    """Its text, its ids, and what does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id" and tag == "h2"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(sample_content(), NOW)


def test_it_is_well_formed_has_every_section_and_needs_nothing_from_elsewhere(page: str) -> None:
    reader = read(page)
    assert reader.open == []
    assert reader.ids == [
        "preferred",
        "frontier",
        "cohorts",
        "calibration",
        "weights",
        "heads",
        "engagement",
        "features",
        "log",
    ]
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert all(link.startswith("#") for link in reader.links)
    assert "@import" not in page and "url(" not in page.replace("url(#", "")
    assert "width=device-width" in page and "prefers-color-scheme: dark" in page


def test_its_numbers_are_those_of_the_json(page: str) -> None:
    content, text = sample_content().as_dict(), " ".join(read(page).text.split())
    for part in content["frontiers"]:
        for point in part["points"]:
            for lift in point["lifts"].values():
                bounds = lift["relative_interval"]
                assert f"{signed(lift['relative'])} [{signed(bounds['lower'])}, {signed(bounds['upper'])}]" in text
                assert f"n {lift['n']:,}, {lift['matched_rows']:,} matched" in text
    for each in content["chosen_weights"]:
        assert percent(each["most_common_share"]) in text
    for share in content["head_contribution"]["shares"]:
        assert percent(share["mean"]) in text
    for group in content["isolation"]:
        assert f"{group['loss']:.5f}" in text
    for bins in content["calibration"].values():
        assert all(number_text(each["observed"]) in text for each in bins["bins"])
    assert content["version"] in text and content["gate"]["reasons"][0]["sentence"] in text
    assert "max-t" in text and "Chernozhukov" in text


def test_a_refusal_is_a_sentence_in_its_place() -> None:
    content: Any = replace(
        sample_content(),
        frontiers=(),
        isolation=(),
        heads=HeadContribution(0, refusal="no logged request has <its> heads"),
        refusals={"frontier": "this experiment has 3 objectives", "isolation": "not computed"},
    )
    page = render_page(content, NOW)
    assert read(page).open == []
    assert page.count("this experiment has 3 objectives.") == 2
    assert "no logged request has &lt;its&gt; heads." in page and "not computed." in page


def test_numbers_in_words() -> None:
    assert (signed(0.0341), signed(None), percent(0.5, 0), number_text(None)) == (
        "+3.4 %",
        "undefined",
        "50 %",
        "undefined",
    )
    assert (role_text("leans:p2p"), role_text("knee")) == ("leaning to p2p", "knee")


def test_many_points_are_shown_evenly() -> None:
    points = [{"alpha": place} for place in range(25)]
    assert [point["alpha"] for point in shown_points(points)] == list(range(0, 25, 2))
    assert shown_points(points[:3]) == points[:3]

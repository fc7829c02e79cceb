"""Rows on 80 columns: ids stay whole, sentences wrap, and nothing in a store writes to the terminal by itself."""

from __future__ import annotations

import pytest

from trimtab.tables import Entry, Listing, figures, labelled, show, show_text, streamed_lines, terminal_width, wrapped

VERSION = "20240501T120000000Z-0a1b2c3d"
HASH = "5b1c0d6a9c1f0e55b06e4c1d0a2f7f2b5a7f2d1e3c4b5a697887766554433221"


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def printed(capsys: pytest.CaptureFixture[str], *parts: Listing | str) -> list[str]:
    show(*parts)
    return capsys.readouterr().out.splitlines()


def test_ids_stand_in_columns_and_sentences_below(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "by ada: " + "canary was fine for a week " * 5
    listing = Listing(
        "channels", ("channel", "version"), [Entry(("stable", VERSION), (reason,)), Entry(("canary", ""))]
    )
    lines = printed(capsys, listing)
    assert lines[:3] == ["channels", "channel  version", f"stable   {VERSION}"]
    assert lines[3].startswith("    by ada: canary was fine")
    assert lines[-1] == "canary"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("word", [HASH, VERSION, "v" * 128], ids=["hash", "version", "longest name"])
@pytest.mark.parametrize("columns", ["20", "80"])
def test_an_id_is_never_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, word: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    entry = Entry(("1714564800000", word, "valid"), (f"its parent is {word}, as far as anybody knows",))
    show(Listing("all", ("revision", "id", "state"), [entry, Entry(("1", "v1", "valid"))]))
    show_text(f"the version {word} is the one that was meant")
    show(f"{'x' * 30} {word}")
    lines = capsys.readouterr().out.splitlines()
    assert sum(word in line.replace(",", " ").split() for line in lines) == 4


def test_one_long_name_moves_its_own_row_only(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, Listing("nodes", ("node", "state"), [Entry(("n1", "well")), Entry(("n" * 100, "well"))]))
    assert lines[1:] == ["node  state", "n1    well", f"{'n' * 100}  well"]


def test_an_empty_listing_says_so_and_tables_stand_apart(capsys: pytest.CaptureFixture[str]) -> None:
    empty = Listing("nodes", ("node",), [])
    assert printed(capsys, "experiment homefeed", empty, empty) == [
        "experiment homefeed",
        "",
        "nodes: none",
        "",
        "nodes: none",
    ]


def test_what_others_wrote_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, and no escape sequence that would reach the terminal."""
    odd = "[bold]x[/bold] [gate overridden] \x1b[31mred\x07\nnext"
    lines = printed(capsys, Listing(odd, ("a",), [Entry((odd,), (odd,))]), odd)
    assert "\x1b" not in "".join(lines)
    assert lines[2] == "[bold]x[/bold] [gate overridden] �[31mred� next"


def test_figures_are_aligned_and_keep_their_indentation(capsys: pytest.CaptureFixture[str]) -> None:
    show(figures("counts", ("", "examples"), [("lost", "0"), ("  of these", "1,234")]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["counts", "            examples", "lost               0", "  of these     1,234"]


def test_a_streamed_row_is_for_people_or_for_programs() -> None:
    entry = Entry(("2:17", "malformed", "r9"), ("3 bytes unread " * 8,))
    assert streamed_lines(entry, None) == ["2:17\tmalformed\tr9\t" + "3 bytes unread " * 8]
    head, *rest = streamed_lines(entry, 80)
    assert head == "2:17  malformed  r9"
    assert all(line.startswith("    ") for line in rest)
    assert max(map(len, rest)) <= 80
    assert terminal_width() is None, "a test's output is no terminal"


def test_wrapping_breaks_between_words_only() -> None:
    assert wrapped("a well-known  name\tof things", 10, "  ") == ["  a", "  well-known", "  name of", "  things"]


def test_a_label_stands_beside_the_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert labelled("rows", "two of them are left", 8) == ["rows    two of them", "        are left"]
    assert labelled("lifts", "", 8) == ["lifts"]

"""flow/report/console.py: figures of a table are never cut, whatever its names are and however narrow the terminal."""

import pytest
from rich.table import Table

from flow.report.console import Name, figures, plain_console, print_table

LONG = "WidthConverter_SignThreshold_0_out.gen_buffer.gen_neighbours.i_tap.count_o"
ROWS = [(f"{LONG}[{row}]", f"{123_456_789 + row:,}", "-3.98", " > ".join(["SlidingWindow_2"] * 9)) for row in range(3)]


def printed(width):
    table = Table("name", *figures(("LUT\nplan", "slack")), "through", box=None)
    for name, lut, slack, through in ROWS:
        table.add_row(Name(name), lut, slack, through)
    console = plain_console(width=width)
    with console.capture() as capture:
        print_table(console, table)
    return capture.get()


@pytest.mark.parametrize("width", [20, 40, 80, 120, 160, 400])
def test_figures_are_whole_at_any_width(width):
    text = printed(width)
    for row, (name, lut, slack, _) in enumerate(ROWS):
        line = next(line for line in text.splitlines() if lut in line)
        assert slack in line
        assert f"_o[{row}]" in line  # the end of a name tells it from others
        assert (name in line) == (width == 400)
    assert "LUT" in text and "plan" in text
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [20, 60, 200])
def test_figures_of_several_words_are_whole_too(width):
    table = Table("name", *figures(("popcount baseline", "first"), "left"), box=None)
    table.add_row(Name(LONG), "9,585,920", "12, 31, 31")
    console = plain_console(width=width)
    with console.capture() as capture:
        print_table(console, table)
    heading, row = capture.get().splitlines()
    assert "popcount baseline" in heading and "12, 31, 31" in row and row.strip().startswith("Width")


@pytest.mark.parametrize(("width", "text"), [(6, "abcdef"), (5, "ab…ef"), (4, "ab…f"), (3, "a…f"), (2, "a…"), (1, "…")])
def test_names_are_cut_in_the_middle(width, text):
    assert Name("abcdef").shortened(width) == text

"""The bench's table and file: what a person reads and what a later run is compared to must say the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row, document, percentile, table, write

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Row(name="ack, p99", measured=12.0, unit="ms", baseline=8.0, aim=Aim(limit=2, of_ratio=True))
SLOW = Row(name="serve is ready", measured=2.5, unit="s", aim=Aim(limit=2))
RATE = Row(name="acks", measured=400, unit="/s", baseline=1000, aim=Aim(limit=0.5, at_most=False, of_ratio=True))
PLAIN = Row(name="longest", measured=123.4, unit="ms")


def test_an_aim_is_judged_by_what_it_bounds() -> None:
    assert [row.met for row in (QUICK, SLOW, RATE, PLAIN)] == [True, False, False, None]
    assert QUICK.ratio == 1.5
    assert PLAIN.ratio is None


def test_an_aim_of_a_ratio_is_not_met_without_a_baseline() -> None:
    assert Row(name="x", measured=1, unit="ms", aim=Aim(limit=2, of_ratio=True)).met is False


def test_the_table_says_numbers_aims_and_whether_they_were_met() -> None:
    head, line, quick, slow, rate, plain = table([QUICK, SLOW, RATE, PLAIN]).splitlines()
    assert head.split() == ["measurement", "measured", "baseline", "ratio", "aim", "met"]
    assert set(line) == {"─", " "}
    assert quick.split("  ")[-1] == "yes"
    assert "12.0 ms" in quick
    assert "1.50×" in quick
    assert "≤ 2×" in quick
    assert slow.endswith("≤ 2 s   no")
    assert "≥ 0.5×" in rate
    assert plain.endswith("123 ms")


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([3.0, 1.0], 0) == 1


def test_the_file_holds_the_rows_the_machine_and_what_went_wrong(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    write(path, document({"ack": Found(rows=[QUICK], details={"rounds": 6})}, {"past": "it broke"}))
    read = json.loads(path.read_text(encoding="utf-8"))
    [row] = read["measurements"]["ack"]["rows"]
    assert (row["measured"], row["baseline"], row["ratio"], row["met"]) == (12.0, 8.0, 1.5, True)
    assert read["measurements"]["ack"]["details"] == {"rounds": 6}
    assert read["problems"] == {"past": "it broke"}
    assert read["machine"]["cores"] >= 1
    assert {"python", "dbos", "slack-bolt"} <= read["versions"].keys()

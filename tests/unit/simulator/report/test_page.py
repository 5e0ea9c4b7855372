"""The page of a run: what it says of whole, partial and wrong runs, and that it needs nothing from anywhere."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud.capacity.prices import load_prices
from simulator.report import city_data as cities
from simulator.report.errors import ReportError
from simulator.report.page import render
from simulator.report.run_folder import RunFolder
from simulator.report.writing import PAGE, write_page
from simulator.run.segments import NOTHING
from tests.made_up_run import DURATION_S, REPORT, SENSORS, WINDOW_S, city_and_jam, write_made_up_run

VOID = {"meta", "link", "input", "br"}


class Outline(HTMLParser):
    """Ids, figures and links of a page; fails for an element that is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.figures: dict[str, str] = {}
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if values.get("data-key"):
            self.figures[str(values["data-key"])] = str(values["data-value"])
        self.links += [str(values[name]) for name in ("src", "href") if values.get(name)]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    write_made_up_run(path)
    return path


def page_of(folder: Path) -> str:
    return render(RunFolder.read(folder), load_prices()).replace("\N{NO-BREAK SPACE}", " ")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="city">(.*?)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_file_is_one_that_needs_nothing_else(folder: Path) -> None:
    page = write_page(folder, folder / PAGE).read_text()

    assert Outline(page).links == ["data:,"]
    assert "url(" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert len(page) < 200_000


def test_key_numbers_are_those_of_the_report(folder: Path) -> None:
    figures = Outline(page_of(folder)).figures

    assert figures["readings_generated"] == str(REPORT["readings_generated"])
    assert figures["latency_s.p95"] == str(REPORT["latency_s"]["p95"])
    assert figures["message_reduction"] == "1038.8"
    assert len(figures) == 8


def test_the_verdict_comes_first_and_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    assert (
        "all 36 windows of 600 sensors are as they must be, but for 40 readings that declared faults took"
        in page_of(folder)
    )

    finding = {"gateway": "gw-001", "window_start_ms": 7, "what": "speed <is> wrong"}
    write_made_up_run(tmp_path, ok=False, windows_wrong=1, windows_missing=2, findings=[finding], problems=["late"])
    wrong = page_of(tmp_path)
    assert "Not all is well: 2 windows are missing, 1 window is wrong and 1 other problem." in wrong
    assert "gw-001 7: speed &lt;is&gt; wrong" in wrong


def test_names_of_others_cannot_become_markup(folder: Path) -> None:
    page = page_of(folder)

    assert "cut &lt;cable&gt;" in page
    assert "<cable>" not in page
    assert "out <b>" not in page


def test_every_fault_says_what_became_of_it(folder: Path) -> None:
    page = page_of(folder)

    assert "4 windows late; all caught up 2.5 s after its end" in page
    assert "2 times; 40 readings at risk" in page
    assert "540 readings struck" in page
    assert "all through the run" in page


def test_readings_are_accounted_for_and_a_remainder_stands_out(folder: Path, tmp_path: Path) -> None:
    page = page_of(folder)
    assert '<tr class="bad">' not in page
    for row in ("in a stored window", "repetition, counted once", "rejected: occupancy", "unaccounted for"):
        assert f"{row}</th>" in page
    assert "sent, with repetitions" in page
    assert "too late for any window" not in page

    accounting = {**REPORT["accounting"], "aggregated": 53_953, "remainder": 7}
    write_made_up_run(tmp_path, accounting=accounting)
    assert re.search(
        r'<tr class="bad"><th scope="row">.{,120}unaccounted for</th><td class="n">7</td>', page_of(tmp_path)
    )


def test_a_process_that_leaks_stands_out(folder: Path, tmp_path: Path) -> None:
    assert "Process by process" not in page_of(folder)
    process = {"process": "simulator", "rss_mb": 310.0, "bound_mb_per_hour": 60.0, "restarts": 0, "samples": []}
    told = [{**process, "mb_per_hour": 75.0, "leaks": True}, {**process, "mb_per_hour": None, "leaks": False}]
    write_made_up_run(tmp_path, memory=told)
    page = page_of(tmp_path)
    assert re.search(r'<tr class="bad"><th scope="row">simulator</th><td class="n">310 MB</td>.*?75\.0', page)
    assert "too short to tell" in page


def test_a_report_without_an_account_is_added_up_from_its_figures(tmp_path: Path) -> None:
    write_made_up_run(tmp_path, accounting=None, readings_accepted=REPORT["readings_accepted"] - 3)
    page = page_of(tmp_path)
    assert re.search(r'unaccounted for</th><td class="n">3</td>', page)
    assert re.search(r'generated</th><td class="n">54,020</td>', page)


def test_the_map_has_the_levels_of_the_stored_windows_without_the_silence_at_the_end(folder: Path) -> None:
    city, _, jam = city_and_jam()
    data = data_of(page_of(folder))

    assert data["frame_s"] == [float(at_s) for at_s in range(0, DURATION_S, WINDOW_S)]
    assert data["congested"] == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    levels = np.frombuffer(base64.b64decode(data["levels"]), dtype=np.uint8).reshape(9, -1)
    assert levels[:, jam].tolist() == [0, 15, 30, 45, 60, 75, 90, 90, 90]
    assert len(data["x"]) == city.segment_count == SENSORS // 10
    assert max(data["width"], data["height"]) == cities.GRID


def test_the_road_that_is_shown_first_is_one_with_an_incident_that_was_told(folder: Path) -> None:
    _, _, jam = city_and_jam()
    page = page_of(folder)
    data = data_of(page)

    assert jam in data["corridors"][data["order"][0]]
    assert [alert[:2] for alert in data["alerts"]] == [[jam, 50.0], [jam, 60.0]]
    assert re.search(r"\d+ incidents blocked lanes; an alert told of [12]", page)


def test_a_long_run_shares_pictures_among_windows_and_shows_the_worst(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cities, "MAX_LEVELS", 3 * SENSORS // 10)
    _, _, jam = city_and_jam()
    data = data_of(page_of(folder))
    levels = np.frombuffer(base64.b64decode(data["levels"]), dtype=np.uint8).reshape(-1, SENSORS // 10)

    assert data["frame_length_s"] == 40
    assert levels[:, jam].tolist() == [45, 90, 90]
    assert NOTHING not in levels


@pytest.mark.parametrize("missing", ["report.json", "series.json", "segments.npz", "run.json"])
def test_a_partial_run_has_a_page_that_says_what_is_missing(tmp_path: Path, missing: str) -> None:
    write_made_up_run(tmp_path)
    (tmp_path / missing).unlink()
    page = page_of(tmp_path)
    Outline(page)

    says = {
        "report.json": "This run was not verified",
        "series.json": "kept no series.json",
        "segments.npz": "kept no segments.npz",
        "run.json": "classic",
    }
    assert says[missing] in page


def test_a_run_without_gateways_has_a_page_of_its_readings(tmp_path: Path) -> None:
    seconds = [{"published": 5 * n, "acknowledged": 5 * n - 1, "cloud_cores": 0.5, "table_lag_s": 0.1} for n in (1, 2)]
    report = {
        "ok": False,
        "mode": "raw",
        "sensors": 5,
        "gateways": 0,
        "readings_generated": 11,
        "readings_expected": 10,
        "readings_stored": 9,
        "readings_missing": 1,
        "readings_altered": 0,
        "readings_parked": 1,
        "rate_reached_per_s": 4.5,
        "seconds": seconds,
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    page = page_of(tmp_path)
    figures = Outline(page).figures

    assert "Not all is well: 1 reading is missing." in page
    assert (figures["readings_stored"], figures["rate_reached_per_s"]) == ("9", "4.5")
    assert "there are no windows to draw this from" in page
    assert "in the table: 81.8 %" in page
    assert "Seconds by which sensors, broker and table were behind" in page
    assert "5 sensors, as in this run" in page


def test_a_run_whose_figures_are_not_known_has_a_page(tmp_path: Path) -> None:
    write_made_up_run(tmp_path)
    (tmp_path / "report.json").write_text(
        json.dumps({"ok": None, "interrupted": True, "duration_s": 9, "duration_planned_s": 60})
    )
    page = page_of(tmp_path)

    assert "The run was interrupted after 9 s of 60 s" in page
    assert "were not accounted for" in page
    assert "Nothing was broken on purpose" in page


def test_a_folder_without_a_run_and_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="there is no such folder"):
        RunFolder.read(tmp_path / "nowhere")
    with pytest.raises(ReportError, match=r"holds neither report\.json nor series\.json"):
        RunFolder.read(tmp_path)
    write_made_up_run(tmp_path)
    (tmp_path / "segments.npz").write_bytes(b"no archive")
    with pytest.raises(ReportError, match=r"segments\.npz: is no history"):
        RunFolder.read(tmp_path)
    (tmp_path / "series.json").write_text('{"schema": 1}')
    with pytest.raises(ReportError, match=r"series\.json: is no recording"):
        RunFolder.read(tmp_path)
    (tmp_path / "report.json").write_text("[1")
    with pytest.raises(ReportError, match=r"report\.json: cannot be read"):
        RunFolder.read(tmp_path)


def test_a_page_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match=r"file/page\.html cannot be written .*: name another file"):
        write_page(folder, tmp_path / "file" / "page.html")
    assert write_page(folder, tmp_path / "new" / "page.html").exists()

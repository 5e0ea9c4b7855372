"""The report in a real browser: no complaint, a picture of something, the report's own numbers, a slider that works."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.report.verdict import at
from simulator.report.writing import PAGE, write_page
from tests.browser.chromium import WHY_NOT, Chromium
from tests.made_up_run import write_made_up_run

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, write_made_up_run(folder)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, run: tuple[Path, dict[str, Any]]) -> Iterator[Chromium]:
    page = write_page(run[0], run[0] / PAGE)
    with Chromium(tmp_path_factory.mktemp("browser")) as chromium:
        chromium.look(1280, 900)
        chromium.open(page)
        yield chromium


def colours(browser: Chromium, *, top: int, bottom: int) -> int:
    """How many colours a screenshot has between two rows, 16 shades a channel. The browser reads the picture again."""
    picture = base64.b64encode(browser.screenshot()).decode()
    count: int = browser.evaluate(
        f"""(async () => {{
          const picture = new Image(); picture.src = "data:image/png;base64,{picture}"; await picture.decode();
          const canvas = new OffscreenCanvas(picture.width, {bottom - top}), pen = canvas.getContext("2d");
          pen.drawImage(picture, 0, -{top});
          const bytes = pen.getImageData(0, 0, canvas.width, canvas.height).data, found = new Set();
          for (let i = 0; i < bytes.length; i += 4)
            found.add((bytes[i] >> 4) << 8 | (bytes[i + 1] >> 4) << 4 | bytes[i + 2] >> 4);
          return found.size;
        }})()"""
    )
    return count


def test_the_page_opens_without_a_complaint_or_a_request(browser: Chromium) -> None:
    assert browser.complaints() == []
    assert browser.evaluate("document.documentElement.scrollWidth") == 1280


def test_the_picture_shows_something_in_several_places(browser: Chromium) -> None:
    assert colours(browser, top=0, bottom=360) > 10
    assert colours(browser, top=360, bottom=900) > 10
    assert colours(browser, top=0, bottom=10) == 1  # the margin: what counts colours can tell when there is one


def test_the_numbers_on_the_page_are_those_of_the_report(browser: Chromium, run: tuple[Path, dict[str, Any]]) -> None:
    shown = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-key]')].map(e => [e.dataset.key, e.textContent]))"
    )

    assert len(shown) == 8
    for key, text in shown.items():
        number = float(text.replace(",", "").split("\N{NO-BREAK SPACE}")[0])
        assert number == pytest.approx(at(run[1], key), rel=0.005), key
    assert browser.evaluate("document.getElementById('verdict').textContent").startswith("OK")


def test_the_slider_moves_the_map_through_time(browser: Chromium) -> None:
    move = "(() => {{ const t = document.getElementById('time'); t.value = {0}; t.dispatchEvent(new Event('input')); "
    look = "return [document.getElementById('now').textContent, document.getElementById('map').toDataURL()] }})()"
    first, free = browser.evaluate((move + look).format(0))
    last, jammed = browser.evaluate((move + look).format(8))

    assert first == "0:10: 0 of 60 segments congested (0 %)"
    assert last == "1:30: 1 of 60 segments congested (2 %)"
    assert free != jammed


def test_play_goes_on_to_the_end_by_itself(browser: Chromium) -> None:
    place = browser.evaluate(
        "new Promise(done => { const t = document.getElementById('time'); t.value = 7; "
        "document.getElementById('play').click(); "
        "const look = setInterval(() => { if (t.value === '8') { clearInterval(look); done(t.value) } }, 20) })"
    )
    assert place == "8"


def test_a_road_that_is_chosen_is_drawn_with_its_incidents_and_alerts(browser: Chromium) -> None:
    drawn = (
        "[document.querySelectorAll('#time-space rect').length, document.querySelectorAll('#time-space .sign').length]"
    )
    cells, signs = browser.evaluate(drawn)
    choose = (
        "(() => { const c = document.getElementById('corridor'); c.selectedIndex = c.options.length - 1; "
        f"c.dispatchEvent(new Event('change')); return {drawn} }})()"
    )

    assert cells >= 9 * 8
    assert signs == 2
    assert browser.evaluate(choose)[1] == 0


@pytest.mark.parametrize("dark", [False, True])
def test_a_telephone_need_not_scroll_sideways(browser: Chromium, dark: bool) -> None:
    browser.look(390, 844, dark=dark)
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
        paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(15, 19, 24)" if dark else "rgb(245, 246, 248)")
        assert colours(browser, top=0, bottom=844) > 10
    finally:
        browser.look(1280, 900)

import io
import json
import logging
from collections.abc import Iterator

import pytest

from roadside.runtime.logs import MAX_KNOWN_MESSAGES, MAX_VARIANTS, JsonFormatter, RepeatFilter, configure_logging


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


def test_a_record_is_one_line_of_json_with_its_extra_fields(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("aggregator", "INFO", stream)
    log = logging.getLogger("roadside.test")
    log.debug("not shown")
    log.warning("cannot send %s", "it\nnow", extra={"sequence": 7, "odd": {1, 2}.__class__})

    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "WARNING",
        "component": "aggregator",
        "logger": "roadside.test",
        "message": "cannot send it\nnow",
        "sequence": 7,
        "odd": "<class 'set'>",
    }


def test_an_exception_is_in_the_line_of_its_record(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("aggregator", stream=stream)
    try:
        dict[str, int]()["deep"]
    except KeyError:
        logging.getLogger("roadside.test").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "KeyError: 'deep'" in json.loads(line)["exception"]


def test_a_level_that_is_none_is_refused(root_logger: logging.Logger) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("aggregator", "LOUD")


def test_repeats_are_held_back_for_a_while_and_counted() -> None:
    now_s = 0.0
    repeats = RepeatFilter(60, steady_s=lambda: now_s)

    def passes(message: str, *arguments: object) -> logging.LogRecord | None:
        record = logging.LogRecord("name", logging.INFO, "path", 1, message, arguments, None)
        return record if repeats.filter(record) else None

    assert passes("offline %d", 1)
    assert [passes("offline %d", number) for number in range(3)] == [None] * 3
    assert passes("another")
    now_s = 60.0
    shown = passes("offline %d", 5)
    assert shown is not None
    assert json.loads(JsonFormatter("c").format(shown))["suppressed"] == 3
    assert passes("offline %d", 6) is None


def test_other_extra_fields_make_another_message_up_to_a_bound() -> None:
    now_s = 0.0
    repeats = RepeatFilter(60, steady_s=lambda: now_s)

    def passes(segments: int) -> logging.LogRecord | None:
        record = logging.LogRecord("name", logging.INFO, "path", 1, "configuration applied", (), None)
        record.segments = segments
        return record if repeats.filter(record) else None

    assert [bool(passes(segments)) for segments in (1, 1, 2, 2, 1)] == [True, False, True, False, False]
    assert sum(bool(passes(segments)) for segments in range(100)) == MAX_VARIANTS - 2
    now_s = 60.0
    shown = passes(1)
    assert shown is not None
    assert json.loads(JsonFormatter("c").format(shown))["suppressed"] > 90


def test_the_filter_remembers_a_bounded_number_of_messages() -> None:
    repeats = RepeatFilter(60, steady_s=lambda: 0.0)
    for number in range(3 * MAX_KNOWN_MESSAGES):
        assert repeats.filter(logging.LogRecord("name", logging.INFO, "path", 1, f"message {number}", (), None))
    assert len(repeats._known) == MAX_KNOWN_MESSAGES

"""The processor keeps its bars: work of one Lambda, import, package. Each figure is printed (`pytest -rP`)."""

from pathlib import Path

from cloud.parts import processing
from tests.performance import processor
from tests.performance.bars import BARS
from tests.unit.cloud.messages import make_window

LIMIT = {bar.figure: bar.limit for bar in BARS}
NOISE = 2  # a machine with other work: the bench measures on a quiet one


def test_one_lambda_decodes_and_plans_more_windows_than_a_city_sends() -> None:
    windows = [make_window(sequence, segments=25, vehicles=9) for sequence in range(1, 31)]

    measured = processor.windows_per_lambda_s(processor.windows_per_cpu_s(windows))

    print(f"{measured:.0f} gateway-windows/s, {measured / LIMIT['processor_windows_per_s']:.2f} x the bar")
    assert measured >= LIMIT["processor_windows_per_s"] / NOISE


def test_memory_of_the_function_is_what_the_figure_reckons_with() -> None:
    assert f"memory_mb={processor.MEMORY_MB}" in Path(processing.__file__).read_text(encoding="utf-8")


def test_code_is_imported_quickly(tmp_path: Path) -> None:
    measured_ms = processor.cold_import_cpu_ms("processor", tmp_path / "runtime", runs=3)

    print(f"{measured_ms:.0f} ms, {measured_ms / LIMIT['processor_import_ms']:.2f} of the bar")
    assert measured_ms <= LIMIT["processor_import_ms"] * NOISE


def test_package_is_small() -> None:
    size_mb = processor.package_bytes("processor") / 1e6

    print(f"{size_mb:.2f} MB, {size_mb / LIMIT['processor_package_mb']:.2f} of the bar")
    assert size_mb <= LIMIT["processor_package_mb"]

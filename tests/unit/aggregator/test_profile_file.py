"""Profiles as files: what is written is read again, and what is no profile is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aggregator.profile_file import LearnedProfile, learned_profile, load_profile, save_profile
from roadside.core.contrast_profile import BINS, UNKNOWN, ContrastProfile
from roadside.core.errors import ConfigurationError
from tests.unit.roadside.core.builders import registry_of


def day(**quarters: int) -> np.ndarray:
    values = np.full(BINS, UNKNOWN, dtype=np.int8)
    for quarter, value in quarters.items():
        values[int(quarter[1:])] = value
    return values


def profile_of_two_days() -> LearnedProfile:
    return learned_profile({"seg1": [day(q22=4, q24=-7), day(q23=35)]}, ["monday", "tuesday"])


def test_a_written_profile_is_read_again_and_teaches_the_segments_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    save_profile(path, profile_of_two_days())
    learned = load_profile(path)
    assert learned == profile_of_two_days()
    assert learned.learned_from == ["monday", "tuesday"]
    profile = ContrastProfile(2)
    assert learned.teach(profile, registry_of(1, 1)) == 1
    assert not profile.is_learned(0)
    assert profile.days[1, 22:26, -2:].tolist() == [[4, UNKNOWN], [UNKNOWN, 35], [-7, UNKNOWN], [UNKNOWN, UNKNOWN]]


def test_a_segment_that_has_learned_by_itself_is_not_taught(tmp_path: Path) -> None:
    profile = ContrastProfile(2)
    profile.teach(1, day(q30=12)[np.newaxis])
    assert profile_of_two_days().teach(profile, registry_of(1, 1)) == 1
    assert profile.days[1, 22, -2] == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"format":"roadside-contrast-profile-2","learned_from":[],"segments":{}}',
        '{"format":"roadside-contrast-profile-1","learned_from":[],"segments":{"a":{"first_quarter":96,"days":[]}}}',
        '{"format":"roadside-contrast-profile-1","learned_from":[],"segments":{"a":{"first_quarter":95,"days":[[1,2]]}}}',
        '{"format":"roadside-contrast-profile-1","learned_from":[],"segments":{"a":{"first_quarter":0,"days":[[200]]}}}',
    ],
)
def test_what_is_no_profile_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"incidentProfile.*profile\.json"):
        load_profile(path)


def test_a_file_that_is_missing_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json"):
        load_profile(tmp_path / "none.json")

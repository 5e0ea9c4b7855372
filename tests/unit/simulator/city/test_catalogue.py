"""The made-up city's catalogue is one that a real city could load."""

from cloud.catalogue.segments import read_catalogue, write_catalogue
from simulator.city.catalogue import catalogue_of
from simulator.city.layout import make_city


def test_catalogue_of_a_city_is_read_again_and_tells_its_roads() -> None:
    city = make_city(400, 4, seed=3)
    catalogue = catalogue_of(city)

    assert read_catalogue(write_catalogue(catalogue)) == catalogue
    assert [row.segment_id for row in catalogue] == [segment.segment_id for segment in city.segments()]
    assert {row.gateway for row in catalogue} == {gateway.gateway_id for gateway in city.gateways}
    assert sum(row.length_m for row in catalogue) == city.network.length_m.sum()
    assert any(row.downstream is not None for row in catalogue)

"""The catalogue of a made-up city, as a real city would keep it."""

from pathlib import Path

from cloud.catalogue.loading import load
from cloud.catalogue.segments import CatalogueSegment, read_catalogue, write_catalogue
from cloud.deployment import Deployment
from simulator.city.layout import City


def catalogue_of(city: City) -> tuple[CatalogueSegment, ...]:
    """All segments of the city, in order of their number."""
    lengths_m = city.network.length_m
    return tuple(
        CatalogueSegment(
            segment=segment.number,
            segment_id=segment.segment_id,
            gateway=gateway.gateway_id,
            district=gateway.district,
            road_class=segment.road_class,
            lanes=segment.lanes,
            length_m=float(lengths_m[slice(*city.segment_cells[segment.number])].sum()),
            free_flow_kmh=segment.free_flow_kmh,
            latitude=segment.latitude,
            longitude=segment.longitude,
            downstream=segment.downstream,
        )
        for gateway in city.gateways
        for segment in gateway.segments
    )


def load_catalogue(city: City, file: Path, deployment: Deployment) -> None:
    """Write the city's catalogue to `file` and load that file into the deployment."""
    file.write_bytes(write_catalogue(catalogue_of(city)))
    load(read_catalogue(file.read_bytes()), deployment)

"""The formats in which recordings are kept. Light, since the command line names them."""

from enum import StrEnum


class Format(StrEnum):
    """How a folder keeps its readings; `AUTO` tells by the names of its files."""

    AUTO = "auto"
    LOOPS = "loops"
    PEMS_5MIN = "pems-5min"
    PEMS_RAW = "pems-raw"
    NGSI_LD = "ngsi-ld"

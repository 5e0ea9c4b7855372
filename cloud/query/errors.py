"""What can be wrong with a question; what can be wrong with the cloud is `cloud.deployment.CloudError`."""


class QueryError(ValueError):
    """The question has no answer; the text names field and value and says what to do."""


class UnknownSegmentError(QueryError):
    """Neither the catalogue nor a gateway has told of such a segment."""


class UnknownSensorError(QueryError):
    """No gateway has told of such a sensor lately."""


class UnknownDistrictError(QueryError):
    """No segment of the catalogue lies there."""


class UnknownAlertError(QueryError):
    """There is no such event in the table."""


class InstantError(QueryError):
    """A text that names no instant."""

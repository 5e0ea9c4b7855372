"""Why no report can be made."""


class ReportError(Exception):
    """A folder that holds no run, or a file of one that cannot be read; the message says what to do."""

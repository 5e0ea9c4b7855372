"""What the tables say, decoded: `City` for programs, `python -m cloud.query` for people."""

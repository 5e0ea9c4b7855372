"""Looks into the queues in which messages wait for a person, and sends them on again."""

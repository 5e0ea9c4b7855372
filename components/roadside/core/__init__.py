"""The arithmetic of Roadside: readings in, windows and congestion out.

Pure numpy: no clock, no I/O, no logging. Time comes in as numbers; results go out as values.
"""

"""The numbers that we promise (DESIGN 2), measured on this machine: `make bench`.

One module a subject, each with `measure()`, which yields its numbers. The keeper and the simulated server are processes
of their own, and truth comes from the server's record, whose instants are those of `time.monotonic`.
"""

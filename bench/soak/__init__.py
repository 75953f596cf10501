"""A long life of the keeper in short: what grows? `make soak`.

The whole daemon, its log, store, reloads and mishaps; flat out in virtual time, or for `--duration` against simulated
servers on loopback sockets. What it holds is sampled, and the samples are judged by `bench.soak.reckoning`.
"""

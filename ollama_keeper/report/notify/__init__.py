"""Notifications: how each service wants them, and what its answers mean.

A service is a pure pair: a letter and its target into one request, an answer into an outcome. HTTP 200 is no delivery:
most services say no inside the body. Who sends it, and when, is in `report.alerts`.
"""

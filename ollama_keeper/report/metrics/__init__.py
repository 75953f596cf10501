"""Metrics (CONTRACT 6): what is known now, and what was counted since the start, for Prometheus to fetch.

`Counted` is a consumer and a watcher, and cheap to import; `exposition` makes the page, and is imported when a page is
served: it alone knows prometheus_client. A page is made of what is in memory, and asks nobody for anything.
"""

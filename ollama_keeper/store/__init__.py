"""What outlives a restart, in one SQLite file: documents of the servers, notes of others, and the history."""

from ollama_keeper.store.file import FILE, MIGRATIONS, SCHEMA, newer, schema_of
from ollama_keeper.store.history import DAYS, Entry, Past, Record, Resumed, Use, entry
from ollama_keeper.store.store import LARGEST_DOCUMENT, Kept, Store, open_store

__all__ = [
    "DAYS",
    "FILE",
    "LARGEST_DOCUMENT",
    "MIGRATIONS",
    "SCHEMA",
    "Entry",
    "Kept",
    "Past",
    "Record",
    "Resumed",
    "Store",
    "Use",
    "entry",
    "newer",
    "open_store",
    "schema_of",
]

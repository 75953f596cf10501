"""What the keeper knows and decides: pure functions over frozen records, without clock, I/O or logging."""

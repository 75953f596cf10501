"""The writer on real pipes and files; its thread is waited for by what it writes or by `close`."""

import io
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from ollama_keeper.report.sink import Gone, Sink
from ollama_keeper.report.writer import Writer

SOON = 10.0
PIPE = 65_536  # what a pipe holds before its writer blocks


class Pipe:
    """A pipe with nobody at its end, until it is read."""

    def __init__(self) -> None:
        self.end, write = os.pipe()
        self.stream: TextIO = os.fdopen(write, "w")

    def read(self, writer: Writer) -> list[str]:
        """All lines, up to the writer's end."""
        closer = threading.Thread(target=self._close, args=(writer,))
        closer.start()
        with os.fdopen(self.end) as reader:
            lines = reader.read().splitlines()
        closer.join(SOON)
        return lines

    def _close(self, writer: Writer) -> None:
        writer.close(SOON)
        self.stream.close()

    def leave(self) -> None:
        """Whoever read goes away."""
        os.close(self.end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    with suppress(OSError):
        os.close(pipe.end)
    with suppress(OSError):
        pipe.stream.close()


def told(lost: int) -> str:
    return f"lost {lost}"


def writer_to(stream: TextIO | None, most: int = 10_000) -> Writer:
    return Writer(Sink(stream), told=told, most=most)


def jam(writer: Writer) -> None:
    """Writes more than a pipe holds, so that the thread blocks; returns when it does."""
    writer.put("x" * 2 * PIPE, debug=False)
    while writer._waiting():
        threading.Event().wait(0.001)


def test_lines_arrive_in_their_order(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream)
    for number in range(1_000):
        writer.put(f"line {number}", debug=number % 3 == 0)
    assert pipe.read(writer) == [f"line {number}" for number in range(1_000)]
    assert writer.dropped == 0


def test_fault_e1_a_blocked_reader_costs_the_oldest_lines_and_they_are_counted(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream, most=100)
    jam(writer)
    for number in range(1_000):
        writer.put(f"line {number}", debug=False)
    assert writer.dropped == 900
    assert pipe.read(writer)[1:] == [*(f"line {number}" for number in range(900, 1_000)), "lost 900"]


def test_of_a_full_queue_the_oldest_debug_line_goes_first(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream, most=4)
    jam(writer)
    for line, debug in (("a", False), ("b debug", True), ("c", False), ("d debug", True), ("e", False), ("f", False)):
        writer.put(line, debug=debug)
    writer.put("g", debug=False)
    assert pipe.read(writer)[1:] == ["c", "e", "f", "g", "lost 3"]


def test_losses_are_told_once_for_each_time_that_the_stream_drains(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream, most=1)
    jam(writer)
    for line in "abc":
        writer.put(line, debug=False)
    lines = pipe.read(writer)
    assert lines[1:] == ["c", "lost 2"]


def test_close_gives_up_at_its_deadline(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream)
    jam(writer)
    writer.close(0.01)
    assert writer.dropped == 0


def test_fault_e2_a_closed_reader_switches_the_sink_off(pipe: Pipe) -> None:
    pipe.leave()
    writer = writer_to(pipe.stream)
    writer.put("a", debug=False)
    writer.close(SOON)
    assert writer.off
    writer.put("b", debug=False)
    assert writer.dropped == 2


def test_a_reader_that_leaves_while_we_are_blocked_switches_the_sink_off(pipe: Pipe) -> None:
    writer = writer_to(pipe.stream)
    jam(writer)
    for line in "abc":
        writer.put(line, debug=False)
    pipe.leave()
    writer.close(SOON)
    assert (writer.off, writer.dropped) == (True, 4)


@pytest.mark.parametrize("closed", [None, "closed"])
def test_a_process_without_stdout_loses_its_lines_and_nothing_else(closed: str | None, tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("w") if closed else None
    if stream:
        stream.close()
    writer = writer_to(stream)
    writer.put("a", debug=False)
    writer.close(SOON)
    assert (writer.off, writer.dropped) == (True, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_fault_e3_a_full_disk_loses_lines_and_is_tried_again() -> None:
    with Path("/dev/full").open("w") as full:
        writer = writer_to(full)
        for _ in range(10):
            writer.put("a", debug=False)
        writer.close(SOON)
    assert (writer.off, writer.dropped) == (False, 10)


class FullOnce(io.StringIO):
    """A disk that is full for one line."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            self.full = False
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_after_a_full_disk_the_next_line_is_written_and_the_loss_told() -> None:
    disk = FullOnce()
    writer = writer_to(disk)
    writer.put("a", debug=False)
    writer.put("b", debug=False)
    writer.close(SOON)
    assert disk.getvalue() == "b\nlost 1\n"


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("w") as file:
        sink = Sink(file)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                sink.write("a line of more than ten bytes")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sink.write("next")
        sink.write("last")
    assert (tmp_path / "log").read_text() == "a line of \nnext\nlast\n"


def test_a_pipe_that_somebody_set_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    writer = writer_to(pipe.stream)
    for _ in range(10):
        writer.put("x" * PIPE, debug=False)
    assert pipe.read(writer) == ["x" * PIPE] * 10
    assert writer.dropped == 0


def test_what_an_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as file:
        Sink(file, encoding="ascii").write("→ ü \ud800")
        Sink(file).write("→ \ud800")
    assert (tmp_path / "log").read_bytes() == b"\\u2192 \\xfc \\ud800\n" + "→ \\ud800\n".encode()


def test_a_stream_without_a_descriptor_is_written_as_text() -> None:
    stream = io.StringIO()
    Sink(stream).write("a")
    assert stream.getvalue() == "a\n"


def test_an_error_that_may_pass_is_not_the_end() -> None:
    class Failing(io.StringIO):
        error = 28

        def write(self, text: str) -> int:
            raise OSError(self.error, "x")

    stream = Failing()
    with pytest.raises(OSError, match="x"):
        Sink(stream).write("a")
    stream.error = 32
    with pytest.raises(Gone):
        Sink(stream).write("a")

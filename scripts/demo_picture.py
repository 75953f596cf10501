"""Makes docs/demo.svg: the picture of `ollama-keeper demo` as it stands after a while, from a real run.

python scripts/demo_picture.py [--seed N] [--after SECONDS] [FILE]
"""

import argparse
import asyncio
import io
import re
from pathlib import Path

from rich.console import Console

from ollama_keeper.commands.demo_run import Audience, perform
from ollama_keeper.commands.demo_screen import Screen
from ollama_keeper.report import Reports
from ollama_keeper.report.log import open_log

SIZE = (100, 32)
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def main() -> None:
    """Runs the demo and writes the last picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path("docs/demo.svg"), metavar="FILE")
    parser.add_argument("--seed", type=int, default=4, help="of the mishaps (4)")
    parser.add_argument("--after", type=float, default=47.0, metavar="SECONDS", help="when the picture is taken (47)")
    asked = parser.parse_args()
    asked.file.write_text(picture(asked.seed, asked.after), encoding="utf-8")


def picture(seed: int, after_s: float) -> str:
    """The demo after so many seconds, as SVG that asks nothing of the network."""
    console = _console()
    screen = Screen(console, seed, None)
    log = open_log(level="error", format="json", stream=None)
    asyncio.run(perform(Audience(Reports(log, screen), screen.turn, screen.watch), seed=seed, seconds=after_s))
    log.close(1.0)
    console.print(screen.drawn())
    return _without_web_fonts(console.export_svg(title="ollama-keeper demo", unique_id="demo"))


def _console() -> Console:
    width, height = SIZE
    return Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )


def _without_web_fonts(svg: str) -> str:
    """Fonts of the reader's machine in place of those that would be fetched."""
    local = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return local.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


if __name__ == "__main__":
    main()

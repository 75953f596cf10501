"""README.zh-CN.md says what README.md says: section by section the same headings, commands, links and tables."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
EACH_OTHER = {"README.md", "README.zh-CN.md"}

BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+#( .*)?$", re.MULTILINE)
"""What a block may say in another language: what follows a # after a space."""


@dataclass(frozen=True)
class Section:
    """What does not depend on the language of a section.

    Attributes:
        level: of its heading; 0 before the first one.
        blocks: fenced ones, their language and text without comments.
        code: everything in backticks.
        links: where they lead, pictures too.
        numbers: every number of its prose and tables.
    """

    level: int
    blocks: tuple[tuple[str, str], ...]
    code: frozenset[str]
    links: tuple[str, ...]
    items: int
    rows: int
    numbers: tuple[str, ...]


def sections(text: str) -> list[Section]:
    """Those of a document, in order."""
    blocks: list[tuple[str, str]] = []

    def keep(block: re.Match[str]) -> str:
        blocks.append((block[1], COMMENT.sub("", block[2])))
        return f"\0{len(blocks) - 1}\0\n"

    parts = re.split(r"^(?=#+ )", BLOCK.sub(keep, text), flags=re.MULTILINE)
    return [_section(part, blocks) for part in parts if part.strip()]


def _section(text: str, blocks: list[tuple[str, str]]) -> Section:
    kept = tuple(blocks[int(number)] for number in re.findall("\0(\\d+)\0", text))
    prose = re.sub("\0\\d+\0", "", text)
    links = re.findall(r"\]\(([^)]+)\)|src(?:set)?=\"([^\"]+)\"", prose)
    bare = re.sub(r"`[^`]+`|\]\([^)]+\)", "", prose)
    return Section(
        level=len(re.match("#*", text)[0]),  # type: ignore[index]
        blocks=kept,
        code=frozenset(" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)),
        links=tuple(sorted(a or b for a, b in links if a not in EACH_OTHER)),
        items=len(re.findall(r"^- ", prose, re.MULTILINE)),
        rows=len(re.findall(r"^\|", prose, re.MULTILINE)),
        numbers=tuple(sorted(re.findall(r"\d+(?:\.\d+)*", bare))),
    )


def differences(one: str, other: str) -> list[str]:
    """What is not the same, a line each."""
    pairs = zip(sections(one), sections(other), strict=False)
    found = [
        f"section {number}: {name} {getattr(a, name)} and {getattr(b, name)}"
        for number, (a, b) in enumerate(pairs)
        for name in Section.__dataclass_fields__
        if getattr(a, name) != getattr(b, name)
    ]
    counts = len(sections(one)), len(sections(other))
    return found if counts[0] == counts[1] else [f"sections: {counts[0]} and {counts[1]}", *found]


def test_the_chinese_readme_says_what_the_english_one_says() -> None:
    assert differences(ENGLISH, CHINESE) == []


def test_each_leads_to_the_other() -> None:
    assert "](README.zh-CN.md)" in ENGLISH
    assert "](README.md)" in CHINESE


def test_comments_of_commands_are_translated() -> None:
    (commands, *_) = [text for language, text in BLOCK.findall(CHINESE) if language == "sh" and "status" in text]
    assert all(re.search("[一-鿿]", line) for line in commands.splitlines() if " # " in line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("## Notes\n", "", id="a heading is missing"),
        pytest.param("## Notes\n", "### Notes\n", id="a heading of another level"),
        pytest.param("ollama-keeper plan  ", "ollama-keeper plans  ", id="another command"),
        pytest.param("priority: 200", "priority: 300", id="another line of a file"),
        pytest.param("`/readyz/MODEL`, ", "", id="a path less"),
        pytest.param("(docs/logs.md)", "(docs/log.md)", id="another link"),
        pytest.param("| tokens without a probe; loads aborted | 0; 0 |\n", "", id="a row less"),
        pytest.param("load time + 2 s", "load time + 3 s", id="another number"),
    ],
)
def test_what_differs_is_found(old: str, new: str) -> None:
    assert ENGLISH.count(old) >= 1
    assert differences(ENGLISH.replace(old, new, 1), CHINESE) != []

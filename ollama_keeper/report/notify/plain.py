"""Foreign names in text that a service reads as markup: what could mention, link or hide is shown, not obeyed."""

_MARKUP = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "*": "∗", "~": "∼"})
_TAGS = str.maketrans({"<": "‹", ">": "›"})


def harmless(text: str) -> str:
    """Text without tags, such as those that call everybody of a group."""
    return text.translate(_TAGS)


def unmarked(text: str) -> str:
    """Text without anything that Markdown takes for more than text."""
    lines = (line.translate(_MARKUP) for line in text.split("\n"))
    return "\n".join(f"\N{ZERO WIDTH SPACE}{line}" if line.startswith(("#", "!")) else line for line in lines)

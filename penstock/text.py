"""Foreign text - names of nodes, files, networks, messages of tools - on a terminal."""

from rich.text import Text


def printable(text: str) -> str:
    """`text` with escapes for what would move the cursor, ring or colour: one line, no surprise."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def plain(text: str) -> Text:
    """`text` for rich as it stands: brackets are no markup, `printable`."""
    return Text(printable(text))


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is no UTF-8
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape").decode("ascii")

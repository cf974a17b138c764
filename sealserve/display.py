"""Text that tenants wrote, as it may be shown to people; and what versions are called. Pure."""


def printable(text: str) -> str:
    """Return `text` without characters that could steer a terminal or a page; line ends and tabs stay."""
    return "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text)


def version_name(version: int) -> str:
    """Return how a version is called: "base" or "v3"."""
    return f"v{version}" if version else "base"

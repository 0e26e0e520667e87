"""Fills page.md with figures, and draws the pictures.

`{name}` is the text of a value; a paragraph that begins with `{?name}` is there only if there is such a value and it is
true, with `{!name}` only if not.
"""

import pathlib
import re
import textwrap

import claims
import claims_saturation
import pictures
import promises

TEMPLATE = pathlib.Path(__file__).resolve().parent / "page.md"
COLUMNS = 120


def wrapped(paragraph):
    """Prose and list items in lines of COLUMNS; tables, code, headings and pictures as they are."""
    if re.match(r"[|#!`]|\s", paragraph):
        return paragraph
    lines = []
    for item in re.split(r"\n(?=- )", paragraph):
        text = re.sub(r"(\d) (%|s|ms|us)\b", "\\1\0\\2", re.sub(r"(\d) %", "\\1\0%", " ".join(item.split())))
        lines += textwrap.wrap(text, COLUMNS, subsequent_indent="  " if item.startswith("- ") else "",
                               break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def filled(template, values):
    paragraphs = []
    for paragraph in template.split("\n\n"):
        condition = re.match(r"\{([?!])([\w.-]+)\}\s*", paragraph)
        if condition:
            if bool(values.get(condition[2])) != (condition[1] == "?"):
                continue
            paragraph = paragraph[condition.end():]
        paragraphs.append(wrapped(re.sub(r"\{([a-z][\w.-]*)\}", lambda name: str(values[name[1]]), paragraph)))
    return "\n\n".join(paragraphs).rstrip() + "\n"


def write(out, figures):
    values = claims_saturation.values(figures) | claims.values(figures)
    values |= promises.values(figures)
    for old in (out / "proof").glob("*.svg"):
        old.unlink()
    pictures.draw(out / "proof", figures)
    text = filled(TEMPLATE.read_text(encoding="utf-8"), values)
    (out / "proof.md").write_text(text, encoding="utf-8")

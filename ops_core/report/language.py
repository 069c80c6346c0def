"""The words of reports and of the terminal in the reader's language.

English is the source: it needs no catalogue and costs nothing. Other languages come from compiled gettext catalogues
that are committed beside their `.po`, because reading a `.po` costs more than everything else the summary does
(25 ms against 1 ms) and because the standard library reads them. A test keeps the two equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ops_core.config import LANGUAGES
from ops_core.errors import UsageError

if TYPE_CHECKING:
    import gettext

DOMAIN = "runbook"
SOURCE = "en"

Translate = Callable[[str], str]
TranslateMany = Callable[[str, str, int], str]


def translator(lang: str) -> Translate:
    """The function that turns an English text into `lang`; a text without translation stays English.

    Raises:
        UsageError: there is no such language, or its catalogue is damaged.
    """
    return _as_it_is if lang == SOURCE else _catalogue(lang).gettext


def plural(lang: str) -> TranslateMany:
    """The function that chooses between the singular and the plural of an English text, and turns it into `lang`.

    Raises:
        UsageError: there is no such language, or its catalogue is damaged.
    """
    return _one_or_many if lang == SOURCE else _catalogue(lang).ngettext


def N_(text: str) -> str:  # noqa: N802 - the name by which extraction tools know a text to be translated later
    """Mark `text` for translation and return it as it is."""
    return text


def _as_it_is(text: str) -> str:
    return text


def _one_or_many(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


@functools.cache
def _catalogue(lang: str) -> gettext.GNUTranslations:
    import gettext
    import struct
    from pathlib import Path

    if lang not in LANGUAGES:
        raise UsageError(f"there is no language {lang!r}", where="lang", allowed=", ".join(LANGUAGES))
    path = Path(__file__).parent / "locale" / lang / "LC_MESSAGES" / f"{DOMAIN}.mo"
    try:
        with path.open("rb") as file:
            return gettext.GNUTranslations(file)
    except (OSError, struct.error, ValueError) as error:
        raise UsageError(
            f"the {lang} words cannot be read: {error}", where=str(path), next_step="install again, or use --lang en"
        ) from None

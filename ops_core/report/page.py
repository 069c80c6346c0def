"""Pages to look at in a browser, made from templates like every other document: the user's own first, then ours.

A page is one file. It holds its style, asks nobody for anything and runs no script, so that it reads the same from a
disk, from an archive and from a server that trusts nobody. Every value is escaped on its way out; as in the other
documents, nothing here knows the time, the locale of the machine or chance.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.clock import parse_instant
from ops_core.content import content_dir
from ops_core.errors import OpsError
from ops_core.report.language import plural, translator
from ops_core.report.markdown import NOTHING
from ops_core.report.render import TemplateBroken, broken
from ops_core.report.text import shortened, visible

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN_MAX = 4000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.html\.j2")


def render_page(name: str, context: Mapping[str, object], *, lang: str = "en", templates: Path | None = None) -> str:
    """The page that a template makes of `context`.

    Args:
        name: the template, such as `drill_matrix.html.j2`.
        context: what it may name.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: the template cannot be followed; it says where.
        UsageError: there is no such language.
    """
    from jinja2 import TemplateError

    if not _NAME.fullmatch(name):
        raise TemplateBroken(f"{name[:80]!a} is not the name of a page", allowed="NAME.html.j2")
    folders = tuple(folder for folder in (templates, content_dir() / "templates") if folder is not None)
    try:
        template = _environment(lang, folders).get_template(name)
    except (TemplateError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise broken(error, name, folders) from None
    try:
        return template.render(context)
    except OpsError:
        raise
    except Exception as error:  # noqa: BLE001 - a template may fail in any way Python can; the reader gets its line
        raise broken(error, name, (Path(template.filename or name).parent,)) from None


@functools.lru_cache(maxsize=4)
def _environment(lang: str, folders: tuple[Path, ...]) -> Environment:
    from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from markupsafe import Markup

    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else _shown(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.pop("random")
    environment.filters.pop("safe")  # nothing that is shown is ours to call safe
    environment.globals.pop("lipsum")
    environment.filters.update(_filters())
    environment.globals.update(_functions(lang), lang=lang)
    return environment


def _filters() -> dict[str, Callable[..., Any]]:
    def instant(at: str | None) -> str:
        return NOTHING if not at else f"{parse_instant(at):%Y-%m-%d %H:%M:%S} UTC"

    def seconds(value: float | None) -> str:
        return NOTHING if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"

    return {"instant": instant, "seconds": seconds}


def _functions(lang: str) -> dict[str, Callable[..., Any]]:
    from markupsafe import Markup

    translate, translate_many = translator(lang), plural(lang)

    def fill(text: str, params: Mapping[str, object]) -> Markup:
        return Markup(text) % {  # noqa: S704 - the text is ours, and filling it in escapes what is filled in
            key: value if isinstance(value, Markup) else _shown(value) for key, value in params.items()
        }

    def gettext(text: str, **params: object) -> Markup:
        return fill(translate(text), params)

    def ngettext(one: str, many: str, count: int, **params: object) -> Markup:
        return fill(translate_many(one, many, count), {"num": count, **params})

    return {"_": gettext, "ngettext": ngettext}


def _shown(value: object) -> object:
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        return str(value)
    if value is None:
        return NOTHING
    return shortened(visible(value), SHOWN_MAX) if isinstance(value, str) else value

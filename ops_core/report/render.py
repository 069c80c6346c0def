"""Views into documents through templates: the user's own first, then ours.

Templates run in a sandbox where everything undefined is an error and every value is escaped on its way out, whatever
filters it went through; only `code`, `cite`, `_` and the like hand out Markdown. Nothing in here knows the time, the
locale of the machine or chance, so the same view gives the same bytes.

In a template: `_("text")` translates, `{{ value }}` is a sentence, `{{ value | code }}` a quotation, `{{ ids | cite }}`
names evidence, `{{ text | said }}` picks the language, `{{ at | instant }}` and `{{ seconds | duration }}` tell time,
`{{ key | term("state") }}` says one of our words, `sentence(entry)` tells an event of the timeline.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.clock import parse_instant
from ops_core.content import content_dir
from ops_core.errors import OpsError, UsageError
from ops_core.report import words
from ops_core.report.language import plural, translator
from ops_core.report.markdown import CODE_MAX, NOTHING, Markdown, align_tables, check_citations, cite, code, prose
from ops_core.report.model import IncidentView, Text, TimelineEntry, said
from ops_core.report.text import duration, shortened, visible

if TYPE_CHECKING:
    from jinja2 import Environment, Template

    from ops_core.report.response import ResponseView

INCIDENT = "incident.md.j2"
POSTMORTEM = "postmortem.md.j2"
ISSUE = "issue.md.j2"
INCIDENT_LOG = "incident_log.txt.j2"
SEV_UPDATE = "sev_update.md.j2"
SCENARIO = "scenario.md.j2"
RESPONSE_ISSUE = "response_issue.md.j2"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\.(?:md|txt)\.j2")
_TERMS: Mapping[str, Mapping[str, str]] = {
    "state": words.STATES,
    "severity": words.SEVERITIES,
    "urgency": words.URGENCY,
    "verdict": words.VERDICTS,
    "purpose": words.PURPOSES,
    "outcome": words.OUTCOMES,
    "undo": words.UNDO,
}


class TemplateBroken(UsageError):
    """A template is missing, cannot be read, or asks for something that is not there."""


def render_incident(view: IncidentView, name: str, *, lang: str = "en", templates: Path | None = None) -> str:
    """One document about one incident; ours are checked to cite evidence in every statement.

    Args:
        view: the incident.
        name: the template, such as `postmortem.md.j2`.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: the template cannot be followed; it says where.
        RecordError: the incident does not hold together, or the document says what it cannot prove.
        UsageError: there is no such language.
    """
    view.validate()
    return _checked(view, name, lang, templates)


def render_response(view: ResponseView, name: str, *, lang: str = "en", templates: Path | None = None) -> str:
    """One document about an incident that people handle; arguments and errors as in `render_incident`."""
    return _checked(view, name, lang, templates)


def _checked(view: IncidentView | ResponseView, name: str, lang: str, templates: Path | None) -> str:
    template = _template(name, lang, templates)
    text = _render(template, {"view": view})
    if name.endswith(".md.j2") and Path(template.filename or "").parent == content_dir() / "templates":
        check_citations(text, view)
    return text


def render(name: str, context: Mapping[str, object], *, lang: str = "en", templates: Path | None = None) -> str:
    """The document that a template makes of `context`; arguments and errors as in `render_incident`."""
    return _render(_template(name, lang, templates), context)


def _template(name: str, lang: str, templates: Path | None) -> Template:
    from jinja2 import TemplateError

    if not _NAME.fullmatch(name):
        raise TemplateBroken(f"{name[:80]!a} is not the name of a template", allowed="NAME.md.j2 or NAME.txt.j2")
    folders = tuple(folder for folder in (templates, content_dir() / "templates") if folder is not None)
    environment = _environment(lang, folders, plain=name.endswith(".txt.j2"))
    try:
        return environment.get_template(name)
    except (TemplateError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise broken(error, name, folders) from None


def _render(template: Template, context: Mapping[str, object]) -> str:
    name = template.name or ""
    try:
        text = template.render(context)
    except OpsError:
        raise
    except Exception as error:  # noqa: BLE001 - a template may fail in any way Python can; the reader gets its line
        raise broken(error, name, (Path(template.filename or name).parent,)) from None
    return align_tables(text) if name.endswith(".md.j2") else text


# The documents of one incident share most of their parts: they are compiled once, and again when their file changes.
@functools.lru_cache(maxsize=8)
def _environment(lang: str, folders: tuple[Path, ...], *, plain: bool) -> Environment:
    from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    escape: Callable[[str], str] = visible_cell if plain else prose
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        # Not HTML: `finalize` escapes for Markdown and for plain text, and it cannot be talked out of it by `safe`.
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Markdown) else Markdown(escape(_shown(value))),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.pop("random")
    environment.globals.pop("lipsum")
    environment.filters.update(_filters(lang, plain=plain))
    environment.globals.update(_functions(lang, escape))
    return environment


def _filters(lang: str, *, plain: bool) -> dict[str, Callable[..., Any]]:
    translate = translator(lang)

    def term(key: str, kind: str) -> str:
        return translate(_TERMS[kind][key])

    def instant(at: str | None, day: str = "") -> str:
        if at is None:
            return NOTHING
        when = parse_instant(at).replace(tzinfo=None)
        if day and when.date() == parse_instant(day).date():
            return Markdown(when.time().isoformat(timespec="milliseconds"))
        return Markdown(when.isoformat(sep=" ", timespec="milliseconds") + ("" if day else " UTC"))

    def length(seconds: float | None, digits: int = 3) -> str:
        return NOTHING if seconds is None else duration(seconds, translate, digits)

    def quoted(text: str, limit: int = CODE_MAX) -> Markdown:
        return Markdown(visible_cell(text, limit)) if plain else code(text, limit)

    def pick(text: Text) -> str:
        return said(text, lang)

    return {"code": quoted, "cite": cite, "said": pick, "term": term, "instant": instant, "duration": length}


def _functions(lang: str, escape: Callable[[str], str]) -> dict[str, Callable[..., Any]]:
    translate, translate_many = translator(lang), plural(lang)

    def fill(text: str, params: Mapping[str, object]) -> Markdown:
        shown = {k: v if isinstance(v, Markdown) else escape(_shown(v)) for k, v in params.items()}
        return Markdown(text % shown)

    def gettext(text: str, **params: object) -> Markdown:
        return fill(translate(text), params)

    def ngettext(one: str, many: str, count: int, **params: object) -> Markdown:
        return fill(translate_many(one, many, count), {"num": count, **params})

    def sentence(entry: TimelineEntry) -> Markdown:
        params: dict[str, object] = {}
        for name, value in entry.params.items():
            if name in words.TRANSLATED:
                params[name] = translate(words.TRANSLATED[name][value])
            else:
                params[name] = code(value) if name in words.CODE and escape is prose else value
        return fill(translate(words.TIMELINE[entry.kind]), params)

    return {"_": gettext, "ngettext": ngettext, "sentence": sentence}


def visible_cell(text: str, limit: int = CODE_MAX) -> str:
    """`text` for a line whose parts are told apart by bars: one line, no bar, nothing hidden."""
    return shortened(visible(text), limit).replace("|", "\\x7c")


def _shown(value: object) -> str:
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        return str(value)
    if value is None or value == "":
        return NOTHING
    return str(value)


def broken(error: BaseException, name: str, folders: tuple[Path, ...]) -> TemplateBroken:
    """What a template's failure is called, with the line of the template on the way to it."""
    from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

    places = ", ".join(str(folder) for folder in folders)
    if isinstance(error, TemplateNotFound):
        missing = visible(str(error.name or name))
        where = _line_in_template(error) or places
        return TemplateBroken(f"there is no template {missing}", where=where, allowed=f"a file in {places}")
    if isinstance(error, TemplateSyntaxError):
        where = f"{error.filename or error.name or name}:{error.lineno}"
        return TemplateBroken(f"the template {name} is not valid: {visible(str(error.message))}", where=where)
    if isinstance(error, UnicodeDecodeError):
        return TemplateBroken(f"the template {name} is not UTF-8 (byte {error.start})", where=places)
    if isinstance(error, OSError):
        return TemplateBroken(
            f"the template {name} cannot be read: {error.strerror}", where=str(error.filename or places)
        )
    what = visible(str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}")
    return TemplateBroken(f"the template {name} failed: {what}", where=_line_in_template(error) or places)


def _line_in_template(error: BaseException) -> str:
    """`templates/incident.md.j2:12`: the innermost template line on the way to the error."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(".j2") and Path(file).is_file():
            found = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found

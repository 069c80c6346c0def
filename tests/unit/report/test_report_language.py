"""Every word is there in Korean, means the same parameters, and English costs nothing."""

from __future__ import annotations

import gettext
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from report_views import ROOT

from ops_core.config import LANGUAGES
from ops_core.errors import UsageError
from ops_core.report import language, words
from ops_core.report.language import plural, translator

PACKAGE = ROOT / "ops_core" / "report"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
COMPILE = "pybabel compile -d ops_core/report/locale -D runbook"
HANGUL = re.compile("[가-힣]")


def _catalogue(lang):
    with (PACKAGE / "locale" / lang / "LC_MESSAGES" / "runbook.po").open("rb") as file:
        return read_po(file, locale=lang)


def _used():
    """Every text that templates and modules translate, by where it stands."""
    used = dict.fromkeys(sorted(words.all_words()), "ops_core/report/words.py")
    for method, files in (
        ("jinja2", (ROOT / "templates").rglob("*.j2")),
        ("python", PACKAGE.glob("*.py")),
    ):
        for path in sorted(files):
            with path.open("rb") as file:
                for line, message, _, _ in extract(method, file, keywords=KEYWORDS):
                    used[message] = f"{path.relative_to(ROOT)}:{line}"
    return used


USED = _used()
OTHERS = [lang for lang in LANGUAGES if lang != "en"]
CATALOGUES = {lang: _catalogue(lang) for lang in OTHERS}


@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize("message", USED, ids=lambda m: m if isinstance(m, str) else m[0])
def test_every_word_is_translated_with_the_same_parameters(lang, message):
    """No text of a template or of the terminal is left in English, and each keeps its placeholders."""
    entry = CATALOGUES[lang].get(message if isinstance(message, str) else message[0])
    assert entry is not None, f"{USED[message]}: {message!r} is not in the {lang} catalogue"
    assert not entry.fuzzy
    told = (entry.string,) if isinstance(entry.string, str) else entry.string
    assert all(told)
    for text in told:
        wanted = message if isinstance(message, str) else message[1]
        assert sorted(re.findall(r"%\(\w+\)s", text)) == sorted(re.findall(r"%\(\w+\)s", wanted))
        assert HANGUL.search(text)


@pytest.mark.parametrize("lang", OTHERS)
def test_the_catalogue_holds_nothing_that_is_not_used(lang):
    """A text that was taken out of the templates is taken out of the catalogue."""
    held = {message.id for message in CATALOGUES[lang] if message.id}
    assert held == set(USED)
    assert not CATALOGUES[lang].obsolete


@pytest.mark.parametrize("lang", OTHERS)
def test_the_compiled_catalogue_is_the_one_people_edit(lang):
    """What is read at run time says what the `.po` says; if not, compile it again."""
    with (PACKAGE / "locale" / lang / "LC_MESSAGES" / "runbook.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in CATALOGUES[lang]:
        if not message.id:
            continue
        if isinstance(message.id, tuple):
            assert compiled.ngettext(*message.id, 2) == message.string[0], COMPILE
        else:
            assert compiled.gettext(message.id) == message.string, COMPILE
    assert len([key for key in compiled._catalog if key]) == len([m for m in CATALOGUES[lang] if m.id]), COMPILE


def test_english_is_the_text_itself():
    """The source language needs no catalogue."""
    assert translator("en")("Impact") == "Impact"
    assert [plural("en")("one", "many", n) for n in (0, 1, 2)] == ["many", "one", "many"]


def test_korean_comes_from_the_catalogue():
    """Korean has one form for any number, and what is not translated stays English."""
    assert translator("ko")("Impact") == "영향"
    assert translator("ko")("not a word of ours") == "not a word of ours"
    assert plural("ko")("%(num)s check passed", "all %(num)s checks passed", 1) % {"num": 1} == "체크 1개 모두 통과"


@pytest.mark.parametrize("lang", ["fr", "", "../ko"])
def test_other_languages_are_refused(lang):
    """The error names those that are there."""
    with pytest.raises(UsageError) as caught:
        translator(lang)
    assert caught.value.allowed == "en, ko"


@pytest.mark.parametrize("content", [b"", b"not a catalogue", b"\xde\x12\x04\x95\x00\x00"])
def test_a_damaged_catalogue_is_refused(tmp_path, monkeypatch, content):
    """A truncated or foreign file ends in an error that says what to do."""
    folder = tmp_path / "locale" / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "runbook.mo").write_bytes(content)
    monkeypatch.setattr(language, "__file__", str(tmp_path / "language.py"))
    language._catalogue.cache_clear()
    with pytest.raises(UsageError, match="the ko words cannot be read"):
        translator("ko")
    language._catalogue.cache_clear()


def test_the_terminal_in_english_loads_no_catalogue_and_no_templates():
    """The summary of an observation pays for neither Jinja nor Babel nor gettext's files."""
    program = (
        "import sys; from ops_core.report.terminal import *; from ops_core.report.language import translator;"
        "translator('en')('x'); print(sorted({'jinja2', 'babel', 'gettext', 'markupsafe', 'typer'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


def test_sections_that_must_cite_are_headings_of_ours():
    """A section that is renamed in a template does not slip out of the check."""
    headings = set()
    for path in Path(ROOT / "templates").rglob("*.md.j2"):
        headings |= set(re.findall(r'^## \{\{ _\("([^"]+)"\) \}\}$', path.read_text(encoding="utf-8"), re.MULTILINE))
    free = {"Times against goals", "Prevention", "Incident report", "Messages", "Preconditions", "Checkpoint"}
    free |= {"Next update"}
    # Reports of a period name in each row what its figures are from.
    free |= {"Promises", "Availability", "Error budget", "Recovery", "What follows", "What this rests on"}
    # A matrix is made of results, and each of them names its records.
    free |= {"Times", "Not held", "Skipped", "not as promised", "Faults", "Remediations", "Faults and checks"}
    free |= {"Problems", "Verified", "Rates", "Looks", "False alarms"}
    assert headings == {*words.CITED_SECTIONS, *free}

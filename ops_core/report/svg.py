"""Pictures as text: a small SVG writer whose files need nothing from elsewhere and are read in the dark as well.

No script, no font, no address: a picture can be opened anywhere and changes nothing. It has a title and a description
for those who do not see it, and what colours tell, shapes tell too.
"""

from __future__ import annotations

import html

from ops_core.report.text import display_width, visible

FONT_PX = 13
CHAR_PX = 7.4  # of one terminal column at that size, on the wide side
STYLE = """
text{font:13px system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans KR",sans-serif;fill:#1f2328}
.small{font-size:11px}.quiet{fill:#59636e}.strong{font-weight:600}
.paper{fill:#fff}.good{fill:#1a7f37}.bad{fill:#cf222e}.none{fill:#fff;stroke:#d1d9e0}
.gap{fill:#d1d9e0}.hatch{stroke:#59636e;stroke-width:1.5}
.axis{stroke:#d1d9e0;fill:none}.zero{stroke:#1f2328;fill:none}.goal{stroke:#cf222e;fill:none;stroke-dasharray:5 4}
.line{fill:none;stroke-width:2}.c0{stroke:#0969da}.c1{stroke:#8250df}.c2{stroke:#bc4c00}.c3{stroke:#116329}
.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:9 3 2 3}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.quiet{fill:#9198a1}.paper{fill:#0d1117}.good{fill:#2ea043}.bad{fill:#f85149}
.none{fill:#0d1117;stroke:#3d444d}.gap{fill:#3d444d}.hatch{stroke:#9198a1}.axis{stroke:#3d444d}.zero{stroke:#f0f6fc}
.goal{stroke:#f85149}.c0{stroke:#4493f8}.c1{stroke:#ab7df8}.c2{stroke:#db6d28}.c3{stroke:#3fb950}}
"""
HATCH = (
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="gap" width="6" height="6"/><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern>'
)


class Picture:
    """An SVG that is drawn from the top left; lengths are pixels.

    Args:
        width: of the whole.
        height: of the whole.
        title: what it shows, in a few words.
        description: the same as its figures tell it, for those who do not see it.
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self._head = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
                f'width="{number(width)}" height="{number(height)}" role="img" aria-labelledby="title desc">'
            ),
            f'<title id="title">{escaped(title)}</title>',
            f'<desc id="desc">{escaped(description)}</desc>',
            f"<style>{STYLE}</style>",
            f"<defs>{HATCH}</defs>",
        ]
        self._parts: list[str] = []
        self.rect(0, 0, width, height, "paper")

    def rect(self, x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> None:
        """A rectangle; `kind` is a class of the style, or `unknown` for hatching. `tip` is shown by whoever can."""
        fill = 'fill="url(#hatch)"' if kind == "unknown" else f'class="{kind}"'
        place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
        told = f"<title>{escaped(tip)}</title>" if tip else ""
        self._parts.append(f"<rect {place} {fill}>{told}</rect>" if told else f"<rect {place} {fill}/>")

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """A line of text on the baseline `y`; `anchor` says which part of it stands at `x`."""
        extra = f' class="{kind}"' if kind else ""
        extra += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{number(x)}" y="{number(y)}"{extra}>{escaped(text)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
        self._parts.append(f'<line class="{kind}" {ends}/>')

    def path(self, points: list[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        along = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._parts.append(f'<polyline class="{kind}" points="{along}"/>')

    def marker(self, x: float, y: float) -> None:
        """A small triangle that points up to `(x, y)`: something was bad here, also for who does not see red."""
        points = f"{number(x)},{number(y)} {number(x - 4)},{number(y + 7)} {number(x + 4)},{number(y + 7)}"
        self._parts.append(f'<polygon class="bad" points="{points}"/>')

    def __str__(self) -> str:
        return "\n".join([*self._head, *self._parts, "</svg>"]) + "\n"


def escaped(text: str) -> str:
    """Text that says what it says, in an element or an attribute."""
    return html.escape(visible(text))


def number(value: float) -> str:
    """A number as short as it can be: the same picture is the same bytes."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def width_of(text: str) -> float:
    """About how many pixels a line of text takes."""
    return display_width(visible(text)) * CHAR_PX

#!/usr/bin/env python3
"""Turns what `tmux capture-pane -e -p` prints into an SVG picture: terminal.py < captured > picture.svg

Only what a screen of fleetsim uses: colours (16, 256, true), bold, dim, reverse. Every run of cells is set
to the width of its cells, so that frames meet whatever font the reader has.
"""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 16.4, 14
BACKGROUND, FOREGROUND = "#11151c", "#d8dee9"
SIXTEEN = [
    "#3b4252", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#5fc9c9", "#d8dee9",
    "#6b7689", "#ff8a3d", "#2fd6a3", "#f0e442", "#8fd0ff", "#e8a3c8", "#8fe3e3", "#ffffff",
]
SGR = re.compile(r"\x1b\[([0-9;:]*)m")


def of_256(number):
    """The colour of the 256-colour palette as xterm defines it."""
    if number < 16:
        return SIXTEEN[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    levels = [0, 95, 135, 175, 215, 255]
    number -= 16
    red, green, blue = levels[number // 36], levels[number // 6 % 6], levels[number % 6]
    return f"#{red:02x}{green:02x}{blue:02x}"


def changed(style, codes):
    """The style after an SGR sequence."""
    style = dict(style)
    codes = [int(code or 0) for code in re.split("[;:]", codes)] if codes else [0]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 7):
            style[{1: "bold", 2: "dim", 7: "reverse"}[code]] = True
        elif code in (22, 27):
            for name in {22: ("bold", "dim"), 27: ("reverse",)}[code]:
                style.pop(name, None)
        elif code in (39, 49):
            style.pop({39: "front", 49: "back"}[code], None)
        elif code in (38, 48):
            name = "front" if code == 38 else "back"
            kind = codes.pop(0)
            if kind == 5:
                style[name] = of_256(codes.pop(0))
            else:
                style[name] = "#{:02x}{:02x}{:02x}".format(*codes[:3])
                del codes[:3]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["front"] = SIXTEEN[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style["back"] = SIXTEEN[code - 40 if code < 100 else code - 92]
    return style


def width(text):
    """Cells that a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def drawn(row, column, text, style):
    """SVG of one run of cells in one style."""
    front, back = style.get("front", FOREGROUND), style.get("back")
    if style.get("reverse"):
        front, back = back or BACKGROUND, front
    x, y = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
    length = width(text) * CELL_WIDTH
    if back:
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="{CELL_HEIGHT}" fill="{back}"/>'
    if text.strip():
        extra = ' font-weight="bold"' if style.get("bold") else ""
        extra += ' opacity="0.65"' if style.get("dim") else ""
        yield (
            f'<text x="{x:.1f}" y="{y + 12.6:.1f}" fill="{front}" textLength="{length:.1f}" '
            f'lengthAdjust="spacingAndGlyphs"{extra}>{escape(text)}</text>'
        )


def main():
    rows = sys.stdin.read().rstrip("\n").split("\n")
    shapes, columns, style = [], 0, {}
    for number, row in enumerate(rows):
        column, at = 0, 0
        for found in [*SGR.finditer(row), None]:
            text = row[at : found.start() if found else len(row)]
            # Blanks keep their place without being written.
            for piece in re.findall(r" +|[^ ]+(?: [^ ]+)*", text):
                shapes.extend(drawn(number, column, piece, style))
                column += width(piece)
            if found:
                style, at = changed(style, found.group(1)), found.end()
        columns = max(columns, column)
    full = (columns * CELL_WIDTH + 2 * MARGIN, len(rows) * CELL_HEIGHT + 2 * MARGIN)
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{full[0]:.0f}" height="{full[1]:.0f}" '
        f'viewBox="0 0 {full[0]:.0f} {full[1]:.0f}" font-size="14" xml:space="preserve" '
        'font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace">'
    )
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    print("\n".join(shapes))
    print("</svg>")


if __name__ == "__main__":
    main()

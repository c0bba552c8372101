"""Draws the pictures of the README as SVG: python docs/pictures/draw.py."""

from pathlib import Path

HERE = Path(__file__).parent
STYLE = (
    "<style>text{font:14px sans-serif;fill:#1f2328}.s{font-size:12px;fill:#57606a}.m{font-family:monospace}"
    ".b{fill:#f6f8fa;stroke:#57606a}.g{fill:#dafbe1;stroke:#1a7f37}.o{fill:#fff1e5;stroke:#bc4c00}"
    ".v{fill:#ddf4ff;stroke:#0969da}line,path{stroke:#57606a;stroke-width:1.5;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.b{fill:#161b22}.g{fill:#12261e}"
    ".o{fill:#2b1d12}.v{fill:#0c2d4a}}</style>"
    '<defs><marker id="a" orient="auto" markerWidth="8" markerHeight="8" refX="6" refY="3">'
    '<path d="M0,0 L6,3 L0,6 z" fill="#57606a" stroke="none" style="fill:#57606a"/></marker></defs>'
)


def text(x, y, words, kind=""):
    return f'<text x="{x}" y="{y}" text-anchor="middle" class="{kind}">{words}</text>'


def box(x, y, width, title, notes=(), kind="b", height=58):
    """A box with its upper left corner at x, y."""
    lines = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>']
    lines.append(text(x + width / 2, y + 23, title))
    lines += [text(x + width / 2, y + 41 + 15 * i, note, "s") for i, note in enumerate(notes)]
    return "".join(lines)


def arrow(x1, y1, x2, y2):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#a)"/>'


def svg(name, width, height, parts, title):
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    (HERE / name).write_text(f"{head}<title>{title}</title>{STYLE}{''.join(parts)}</svg>\n", encoding="utf-8")


def pipeline():
    steps = [
        ("Brevitas network", "or QONNX file", "b"),
        ("QONNX graph", "export", "b"),
        ("integer graph", "passes", "b"),
        ("plan", "PE, SIMD, memory, FIFOs", "b"),
    ]
    parts, x = [], 10
    for title, note, kind in steps:
        parts.append(box(x, 70, 170, title, [note], kind))
        x += 200
    parts += [arrow(180 + 200 * i, 99, 207 + 200 * i, 99) for i in range(3)]
    right = [
        (10, "HLS C++", "C simulation by g++", "g"),
        (80, "SystemVerilog", "simulation by Verilator", "g"),
        (150, "deploy.zip", "driver, notebook, samples", "v"),
    ]
    for y, title, note, kind in right:
        parts += [box(820, y, 190, title, [note], kind), arrow(780, 99, 817, y + 29)]
    parts.append('<path d="M295,128 L295,186 L495,186 L495,131" marker-end="url(#a)"/>')
    parts.append(text(385, 204, "every logit equal, at every pass", "s"))
    parts.append('<path d="M505,128 L505,226 L915,226 L915,211" marker-end="url(#a)"/>')
    parts.append(text(700, 244, "every logit, and every value of every stream, equal", "s"))
    svg("pipeline.svg", 1020, 255, parts, "From a Brevitas network to verified HLS, RTL and a driver")


def popbin():
    def row(y, title, stages, note):
        parts, x = [f'<text x="10" y="{y - 12}">{title}</text>'], 10
        for index, (name, notes, kind) in enumerate(stages):
            width = 150 if len(stages) == 6 else 185
            parts.append(box(x, y, width, name, notes, kind, 74))
            if index < len(stages) - 1:
                parts.append(arrow(x + width, y + 37, x + width + 19, y + 37))
            x += width + 22
        return [*parts, f'<text x="10" y="{y + 96}" class="s">{note}</text>']

    xnor = ("XNOR", ["activation bits,", "weight bits"], "b")
    count = ("popcount p", ["s = 2p - n", "up to 14 bits"], "b")
    add = ("+ shortcut", ["8-bit residual", "stream"], "b")
    parts = row(
        40,
        "usual",
        [
            xnor,
            count,
            ("multiply", ["scale of the", "channel"], "o"),
            ("BatchNorm", ["multiply, add"], "o"),
            ("round, shift", ["to the grid", "of the residual"], "o"),
            add,
        ],
        "an integer multiplication and a shift for every output of every binary layer: 491,520 a frame in ReActNet-18",
    )
    parts += row(
        190,
        "PopBin",
        [
            xnor,
            count,
            ("vote", ["p &gt;= n / 2 ?", "one compare, one bit"], "g"),
            ("select", ["low[c] or high[c]:", "BatchNorm of two values"], "g"),
            add,
        ],
        "no multiplication, no shift, no BatchNorm: a compare and a table of two constants a channel",
    )
    svg("popbin.svg", 1040, 295, parts, "What follows the popcount, usually and with PopBin")


if __name__ == "__main__":
    pipeline()
    popbin()

"""Line charts as SVG files that stand by themselves and read well in light and dark."""

import html
import math

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 36, 84, 56
# More points than this in a line cannot be seen.
POINTS_MAX = 400

# Hues after Okabe and Ito, as in report.html; lines are told apart by dashes and marks as well.
STYLE = """
  svg { --ground: #ffffff; --ink: #16202c; --muted: #5a6675; --line: #e3e7ec; --base: #98a2ae;
        --c0: #d55e00; --c1: #0072b2; --c2: #009e73; --c3: #b0508a; --c4: #c98a00; --c5: #59616b; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #11161d; --ink: #e8edf3; --muted: #9eabba; --line: #26303c; --base: #64717f;
          --c0: #ff8b3d; --c1: #5ab4f0; --c2: #2fcb9a; --c3: #e79cc6; --c4: #f0c04a; --c5: #b4bdc8; } }
  text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: var(--muted); }
  .title { font-size: 16px; font-weight: 600; fill: var(--ink); } .key { fill: var(--ink); }
  .end { text-anchor: end; } .mid { text-anchor: middle; }
  .ground { fill: var(--ground); } .grid { stroke: var(--line); } .axis { stroke: var(--base); }
  .bound { stroke: var(--ink); stroke-dasharray: 2 4; }
  .l { fill: none; stroke-width: 2.4; stroke-linejoin: round; stroke-linecap: round; }
  .d1 { stroke-dasharray: 9 5; } .d2 { stroke-dasharray: 2 5; } .d3 { stroke-dasharray: 12 4 2 4; }
"""
STYLE += "".join(f"  .l.c{i} {{ stroke: var(--c{i}); }} .m.c{i} {{ fill: var(--c{i}); }}\n" for i in range(6))


class Line:
    """One line: its points, and how it looks. COLOUR 0 is for what has no queue."""

    def __init__(self, name, points, colour, dash=0, marks=True):
        step = max(1, math.ceil(len(points) / POINTS_MAX))
        self.name, self.colour, self.dash, self.marks = name, colour, dash, marks
        self.points = [point for point in points[::step] if point[1] is not None]


def seconds(value):
    """A time as people say it."""
    if value < 0.9995e-3:
        return f"{value * 1e6:.3g} us"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    return f"{value:,.3g} s" if value < 1000 else f"{value:,.0f} s"


def percent(value):
    shown = value * 100
    return f"{round(shown, 1 if abs(shown) >= 1 else 2):g} %"


def thousands(value):
    return f"{value:,.0f}"


def linear_ticks(low, high, wanted=6):
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (step * m) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low, high):
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if len(decades) > 5 else (1, 3) if len(decades) > 3 else (1, 2, 5)
    return [m * 10.0 ** d for d in decades for m in steps if low * 0.999 <= m * 10.0 ** d <= high * 1.001]


class Axis:
    def __init__(self, values, from_px, to_px, log, ticks, say, low=None, high=None):
        low = min(values) if low is None else low
        high = max(values) if high is None else high
        self.log, self.say, self.from_px, self.to_px = log, say, from_px, to_px
        if high <= low:
            low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
        self.low, self.high = low, high
        self.ticks = ticks or (log_ticks(low, high) if log else linear_ticks(low, high))

    def at(self, value):
        of = math.log if self.log else float
        value = min(max(value, self.low), self.high)
        part = (of(value) - of(self.low)) / (of(self.high) - of(self.low))
        return self.from_px + part * (self.to_px - self.from_px)


def legend(lines):
    out, x = [], LEFT
    for line in lines:
        out.append(f'<path class="l c{line.colour} d{line.dash}" d="M{x} 54h26"/>')
        out.append(f'<text class="key" x="{x + 33}" y="58">{html.escape(line.name)}</text>')
        x += 52 + round(7.1 * len(line.name))
    return out


def line_chart(path, title, about, x_label, y_label, lines, *, log_x=False, log_y=False, say_x=thousands,
               say_y=seconds, x_ticks=None, y_low=None, bounds=()):
    """Writes the file. ABOUT is what it shows in words; BOUNDS are (y, text) of lines across."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + [y for y, _ in bounds]
    if log_y:
        ys = [y for y in ys if y > 0]
        low = y_low or 10 ** (math.floor(math.log10(min(ys)) * 3) / 3)
        high = max(ys) * 1.15
    else:
        low, high = y_low or 0, max(ys) * 1.06
    x_axis = Axis(xs, LEFT, WIDTH - RIGHT, log_x, x_ticks, say_x)
    y_axis = Axis(ys, HEIGHT - BOTTOM, TOP, log_y, None, say_y, low, high)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
           f'aria-labelledby="t d"><title id="t">{html.escape(title)}</title>',
           f'<desc id="d">{html.escape(about)}</desc><style>{STYLE}</style>',
           f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
           f'<text class="title" x="{LEFT}" y="30">{html.escape(title)}</text>', *legend(lines)]
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        out.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'<text class="end" x="{LEFT - 9}" y="{y + 4:.1f}">{say_y(tick)}</text>')
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        out.append(f'<path class="axis" d="M{x:.1f} {HEIGHT - BOTTOM}v5"/>')
        out.append(f'<text class="mid" x="{x:.1f}" y="{HEIGHT - BOTTOM + 21}">{say_x(tick)}</text>')
    out.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    out.append(f'<text class="mid" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 11}">{html.escape(x_label)}</text>')
    out.append(f'<text x="{LEFT - 66}" y="{TOP - 8}">{html.escape(y_label)}</text>')
    for value, text in bounds:
        y = y_axis.at(value)
        out.append(f'<path class="bound" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        out.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{y - 6:.1f}">{html.escape(text)}</text>')
    for line in reversed(lines):
        points = [(x_axis.at(x), y_axis.at(y)) for x, y in line.points]
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        out.append(f'<path class="l c{line.colour} d{line.dash}" d="M{way}"/>')
        if line.marks:
            out += [f'<circle class="m c{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in points]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="utf-8")

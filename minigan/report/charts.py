"""Charts as inline SVG: lines with a band, grouped bars, a map of class shares.

Written out by hand rather than drawn by matplotlib: a chart takes a millisecond and some kilobytes, its colours are
the page's (light or dark, by class names of style.css), and its letters stay legible on a phone.
"""

import math
from html import escape

import numpy as np

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 12, 44  # margins
POINTS = 240  # of a line: longer ones are averaged in pieces
COLUMNS = 48  # of a map
HUGE = 1e100  # where a line ends, so that no sum of its numbers overflows


def rows_a_point(rows):
    """How many of so many rows a point of a line stands for."""
    return max(1, math.ceil(rows / POINTS))


def thin(x, y):
    """(x, mean, low, high) in at most POINTS pieces; low and high: 10th and 90th percentiles.

    Numbers that are not finite are left out; a piece without any has NaN.
    """
    each = rows_a_point(len(x))
    pieces = math.ceil(len(x) / each)
    table = np.full((2, pieces * each), math.nan)
    table[:, : len(x)] = x, np.where(np.isfinite(y), np.clip(y, -HUGE, HUGE), math.nan)
    x, values = table.reshape(2, pieces, each)
    finite = np.isfinite(values)
    counts, ordered = finite.sum(1), np.sort(values, 1)  # NaN last
    with np.errstate(invalid="ignore"):
        mean = np.where(finite, values, 0).sum(1) / counts
    return np.nanmean(x, 1), mean, *(_percentile(ordered, counts, share) for share in (0.1, 0.9))


def _percentile(ordered, counts, share):
    """Of each row's first numbers, which are in order; NaN where there are none. Between two, it is interpolated."""
    rows, place = np.arange(len(ordered)), share * np.maximum(counts - 1, 0)
    before, after = np.floor(place).astype(int), np.ceil(place).astype(int)
    return ordered[rows, before] + (place - before) * (ordered[rows, after] - ordered[rows, before])


def lines(series, alternative, limits=None, reference=None, log=False):
    """A chart of values over training steps, as SVG, and whether peaks of it are cut off.

    series: [(class name, steps, values)]. limits: of the vertical axis, else from the values, an outlier's height
    being cut off. reference: a value with a dashed line. log: whether the vertical axis is logarithmic.
    """
    thinned = [(name, *thin(np.asarray(x, float), _scaled(y, log))) for name, x, y in series]
    x_low, x_high = min(p[1].min() for p in thinned), max(p[1].max() for p in thinned)
    x_low = 0.0 if x_low < 0.1 * x_high else x_low
    if x_low == x_high:
        x_low, x_high = x_low - 1, x_high + 1
    y_low, y_high, cut = limits and (*limits, False) or _limits(thinned, log, reference)

    def across(x):
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def down(y):
        return HEIGHT - BOTTOM - np.clip((y - y_low) / (y_high - y_low), 0, 1) * (HEIGHT - TOP - BOTTOM)

    parts = [_across_axis(ticks(x_low, x_high, 5, 1), across, "training step")]
    parts.append(_down_axis(ticks(y_low, y_high, 5, 1 if log else 0), down, log))
    if reference is not None and y_low <= reference <= y_high:
        parts.append(_line("reference", LEFT, down(reference), WIDTH - RIGHT, down(reference)))
    for name, x, mean, low, high in thinned:
        for start, end in _runs(np.isfinite(mean)):
            part = slice(start, end)
            if end - start == 1:
                parts.append(
                    f'<circle class="dot {name}" cx="{across(x[start]):.1f}" cy="{down(mean[start]):.1f}" r="2.5"/>'
                )
                continue
            if (high > low).any():
                edge = [*zip(x[part], high[part]), *zip(x[part][::-1], low[part][::-1])]
                parts.append(f'<path class="band {name}" d="M{_points(edge, across, down)}Z"/>')
            parts.append(f'<path class="line {name}" d="M{_points(zip(x[part], mean[part]), across, down)}"/>')
    return _svg(parts, alternative), cut


def bars(groups, alternative, reference=None):
    """A chart of shares of the ten classes. groups: [(class name, ten shares from 0 to 1)]."""
    highest = max(float(np.max(shares)) for _, shares in groups)
    top = max(0.2, min(1.0, highest * 1.1))

    def across(x):
        return LEFT + (x + 0.5) / 10 * (WIDTH - LEFT - RIGHT)

    def down(y):
        return HEIGHT - BOTTOM - np.clip(y / top, 0, 1) * (HEIGHT - TOP - BOTTOM)

    parts = [_across_axis(range(10), across, "digit, by the judge", marks=False)]
    parts.append(_down_axis(ticks(0, top, 4), down, percent=True))
    width = (WIDTH - LEFT - RIGHT) / 10 * 0.76 / len(groups)
    for place, (name, shares) in enumerate(groups):
        for digit, share in enumerate(shares):
            left = across(digit) + (place - len(groups) / 2) * width
            height = HEIGHT - BOTTOM - down(share)
            parts.append(_rectangle(f"bar {name}", left, down(share), width - 1, height))
    if reference is not None:
        parts.append(_line("reference", LEFT, down(reference), WIDTH - RIGHT, down(reference)))
    return _svg(parts, alternative)


def class_map(steps, counts, alternative):
    """A map of the share of each class (from below: 0 to 9) over training. counts: (rows, 10)."""
    pieces = np.array_split(np.arange(len(steps)), min(COLUMNS, len(steps)))
    height = (HEIGHT - TOP - BOTTOM) / 10
    starts = [float(steps[piece[0]]) for piece in pieces]
    usual = abs(starts[-1] - starts[0]) / max(len(starts) - 1, 1) or 1.0  # the width of a column, in steps
    edges = [*starts, max(float(steps.max()), starts[-1] + usual)]
    x_low, x_high = float(steps.min()), edges[-1]

    def across(x):
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def down(digit):
        return TOP + (9.5 - digit) * height

    parts = [_across_axis(ticks(x_low, x_high, 5, 1), across, "training step", marks=False)]
    parts += [_text(LEFT - 8, down(digit) + 4, str(digit), "end") for digit in range(10)]
    for column, piece in enumerate(pieces):
        total = counts[piece].sum(0)
        for digit, share in enumerate(total / max(total.sum(), 1)):
            if share > 0.005:
                left, up = across(edges[column]), down(digit) - height / 2 + 0.5
                width = across(edges[column + 1]) - left
                opacity = f' opacity="{min(1, share / 0.25):.2f}"'
                parts.append(_rectangle("cell", left, up, max(width - 0.6, 0.5), height - 1, opacity))
    return _svg(parts, alternative)


def ticks(low, high, about, smallest=0):
    """Round numbers from low to high, about so many; steps of 1, 2 or 5 times a power of ten, at least `smallest`."""
    rough = max((high - low) / about, 1e-300)
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999), smallest)
    if smallest:
        step = math.ceil(step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _scaled(values, log):
    """Values for the axis: their logarithm to base ten where it is logarithmic, 0 being left out."""
    values = np.asarray(values, float)
    if not log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log10(values), math.nan)


def _limits(thinned, log, reference):
    """(low, high, whether peaks are cut off) of the vertical axis."""
    lows, highs = (np.concatenate([p[place] for p in thinned]) for place in (3, 4))
    lows, highs = lows[np.isfinite(lows)], highs[np.isfinite(highs)]
    if not len(highs):
        return 0.0, 1.0, False
    low, high = float(lows.min()), float(highs.max())
    if log:
        return math.floor(low), max(math.ceil(high), math.floor(low) + 1), False
    low, high = min(low, reference or 0, 0), max(high, reference or 0, 0)
    usual_low, usual_high = 2 * float(np.percentile(lows, 3)), max(2 * float(np.percentile(highs, 97)), reference or 0)
    cut_low, cut_high = low < usual_low < 0, high > usual_high > 0
    low, high = usual_low if cut_low else low, usual_high if cut_high else high
    return low * 1.05, high * 1.05 if high - low > 1 / HUGE else low + 1, cut_low or cut_high


def _runs(good):
    """(start, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2]))


def _points(pairs, across, down):
    return "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in pairs)


def _line(name, x1, y1, x2, y2):
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _rectangle(name, x, y, width, height, attributes=""):
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{attributes}/>'


def _text(x, y, text, anchor="middle", name="tick"):
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _across_axis(places, across, label, marks=True):
    bottom = HEIGHT - BOTTOM
    parts = [_line("axis", LEFT, bottom, WIDTH - RIGHT, bottom)]
    for place in places:
        x = across(place)
        anchor = "end" if x > WIDTH - RIGHT - 18 and place >= 1000 else "middle"
        parts.append(_text(x, bottom + 17, f"{place:,.0f}", anchor))
        if marks:
            parts.append(_line("axis", x, bottom, x, bottom + 4))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, label, name="label"))
    return "".join(parts)


def _down_axis(places, down, log=False, percent=False):
    parts = []
    for place in places:
        y = down(place)
        text = f"{place:.0%}" if percent else _power(place) if log else f"{place:,.6g}".replace("e+", "e")
        parts += [_line("rule", LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 8, y + 4, text, "end")]
    return "".join(parts)


def _power(exponent):
    """10 to the exponent, with raised digits."""
    return "10" + str(round(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _svg(parts, alternative):
    label = escape(alternative, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'

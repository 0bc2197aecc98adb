"""Rows of measurements as a picture: bars of seconds in SVG."""

from html import escape

BAR, GAP, LEFT, WIDTH = 18, 8, 420, 900
COLOURS = {"original": "#9aa4b2", "ours": "#2f6fde"}


def bars(rows: list[dict], title: str) -> str:
    """An SVG of the rows that have `seconds`, as long as their time; the original's are grey."""
    timed = [row for row in rows if row.get("seconds")]
    longest = max((row["seconds"] for row in timed), default=1.0)
    height = 40 + len(timed) * (BAR + GAP)
    parts = [f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>']
    for index, row in enumerate(timed):
        top = 36 + index * (BAR + GAP)
        length = max((WIDTH - LEFT - 90) * row["seconds"] / longest, 1)
        colour = COLOURS["original" if ", original" in row["name"] else "ours"]
        parts += [
            f'<text x="{LEFT - 10}" y="{top + 13}" text-anchor="end">{escape(row["name"])}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{top + 13}">{row["seconds"]:.3g} s</text>',
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )

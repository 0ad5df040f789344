"""Numbers and tables as people read them."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Rows under a heading, in columns; the columns in `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def digits(number: float) -> str:
    """Three digits at least, and never as a power of ten: 0.0123, 83.1, 1,010."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def si(number: float, unit: str = "") -> str:
    """Three digits and a letter: 21.7k, 5.72M, 1.3e+21; with a unit, apart from the number: 125 TFLOP/s."""
    space = " " if unit else ""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if 0.9995 * factor <= number < 999.5 * factor:
            return f"{number / factor:.3g}{space}{letter}{unit}"
    return f"{number:.3g}{space}{unit}"


def size(number: float) -> str:
    """Bytes in binary units: 512 B, 83.1 MiB, 1.25 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1023.5:
            return f"{digits(number)} {unit}"
        number /= 1024
    return f"{digits(number)} TiB"


def duration(seconds: float) -> str:
    """`4.2s`, `1m 20s`, `3h 5m`."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}s"
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest}s"
    return f"{minutes // 60}h {minutes % 60}m"

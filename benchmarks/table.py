"""The results of versus.py as text for a terminal and as Markdown for the README."""
from peers import NAMES

BEGIN, END = "<!-- speed -->", "<!-- /speed -->"


def milliseconds(value):
    """16.4 ms, 163 ms, 1.63 s."""
    return f"{value / 1e3:.2f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 99.5 else f"{value:.1f} ms"


def rate(result):
    """Effective rate of minidarknet: "425 GFLOP/s, 92 %" (of the measured peak)."""
    gflops = result["gflop"] / result["peers"]["minidarknet"]["ms"] * 1e3
    peak = result["machine"]["peak_gflops"]
    return f"{gflops:.0f} GFLOP/s" + (f", {gflops / peak:.0%}".replace("%", " %") if peak else "")


def cell(told, ours):
    """A peer's time and its ratio to ours; a dash where there is none."""
    if "ms" not in told:
        return "-"
    return milliseconds(told["ms"]) + (f" ({told['ms'] / ours:.2f} x)" if ours else "")


def columns(results):
    """Names of the peers that have a time somewhere, minidarknet first."""
    return [name for name in NAMES if any("ms" in result["peers"].get(name, {}) for result in results)]


def speed(results):
    """Rows (lists of str) of the table of times: a heading, then one row per work."""
    names = columns(results)
    rows = [["", names[0], "effective rate, share of the FMA peak", *names[1:]]]
    for result in results:
        peers = result["peers"]
        ours = peers["minidarknet"].get("ms")
        rows.append([result["title"], cell(peers["minidarknet"], None), rate(result) if ours else "-",
                     *(cell(peers.get(name, {}), ours) for name in names[1:])])
    return rows


def memory(results):
    """Rows of the table of peak memory in MB, or [] where it was not measured."""
    results = [result for result in results if result.get("memory")]
    names = [name for name in NAMES if any("mb" in result["memory"].get(name, {}) for result in results)]
    found = [[result["title"], *(megabytes(result["memory"].get(name, {})) for name in names)] for result in results]
    return [["peak memory, MB (of the whole process)", *names], *found] if found else []


def megabytes(told):
    """ "142 (275)": what a peer takes above its libraries, and with them; "-" where it was not measured."""
    return f"{told['mb']:.0f} ({told['process_mb']:.0f})" if "mb" in told else "-"


def markdown(rows):
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(rows[0]) - 1), *lines[1:]])


def plain(rows):
    """Rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                               for i, (text, width) in enumerate(zip(row, widths))) for row in rows)


def notes(results):
    """Lines on what was not measured, or differed, and why."""
    seen = {}
    for result in results:
        for name, told in result["peers"].items():
            if "note" in told and told["note"] not in ("does not train", "takes one picture at a time"):
                seen.setdefault(f"{name}: {told['note']}", []).append(result["title"])
    return [f"{words} ({'; '.join(titles) if len(titles) < len(results) else 'everywhere'})"
            for words, titles in seen.items()]


def by_threads(results):
    """[(threads, results)], most threads first."""
    counts = sorted({result["threads"] for result in results}, reverse=True)
    return [(count, [result for result in results if result["threads"] == count]) for count in counts]


def threads(count):
    """ "1 thread", "2 threads"."""
    return f"{count} thread{'s' * (count > 1)}"


def readme(measured):
    """The Markdown between the two marks. measured: the dict that --json writes."""
    results, facts = measured["results"], measured["results"][0]["machine"]
    versions = {name: told["version"] for result in results for name, told in result["peers"].items() if "ms" in told}
    names = [f"{name} {version}" for name, version in versions.items() if not name.startswith(("PyTorch", "torch", "mini"))]
    torch = next((version for name, version in versions.items() if "orch" in name), None)
    parts = [
        f"{facts['processor']}, {facts['cores']} cores, {measured['width']}; {measured['date']}; "
        f"minidarknet {facts['minidarknet']}, Python {facts['python']}, NumPy {facts['numpy']}, Numba {facts['numba']}"
        + "".join(f", {name}" for name in [*([f"PyTorch {torch}"] if torch else []), *names])
        + f". Medians of {measured['repeats']} turns; in brackets how many times as long as minidarknet." + apart(results)]
    for count, some in by_threads(results):
        rows = speed(some)
        rows[0][0] = threads(count)
        peak = max(result["machine"]["peak_gflops"] or 0 for result in some)
        parts += [markdown(rows), f"(FMA peak of {threads(count)}: {peak:.0f} GFLOP/s.)"] if peak else [markdown(rows)]
        if memory(some):
            parts.append(markdown(memory(some)))
    told = notes(results)
    return "\n\n".join([BEGIN, *parts, *(["Not measured: " + "; ".join(told) + "."] if told else []), END])


def apart(results):
    """How far apart the cores were (distance.py), a sentence with a space before it; "" where that was not measured."""
    found = sorted(ns for result in results for ns in result.get("distances", ()) if ns)
    if not found:
        return ""
    return f" A message from core to core and back took {found[0]:.0f} to {found[-1]:.0f} ns."


def rewrite(path, measured):
    """Replace what stands between the marks in the file `path` (Path). Raises ValueError where they are missing."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path} needs one line {BEGIN} and below it one line {END}")
    before, rest = text.split(BEGIN)
    path.write_text(before + readme(measured) + rest.split(END)[1], encoding="utf-8")


def report(measured):
    """Everything as text for a terminal."""
    parts = []
    for count, some in by_threads(measured["results"]):
        parts += [threads(count), plain(speed(some)), *([plain(memory(some))] if memory(some) else [])]
    return "\n\n".join(parts + notes(measured["results"]))

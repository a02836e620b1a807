"""What scripts/bench writes: medians, a table for people, and a plot."""

import statistics

NAMES = {
    "hello": "hello", "parameter": "path parameter", "echo": "echo 1 KiB", "file": "file 16 KiB",
    "pipelined": "hello, pipelined by 16", "pipelined-browser": "pipelined, 13 browser's fields",
    "browser": "hello, 13 browser's fields", "64k": "file 64 KiB", "1m": "file 1 MiB", "1g": "file 1 GiB",
    "stream": "256 KiB in chunks of 4 KiB", "plain": "the same, in one body",
    "idle": "idle connections", "latency": "latency at half of the capacity",
}  # fmt: skip
RATIOS = ["hello", "parameter", "echo", "file", "pipelined", "browser", "pipelined-browser"]


def median(rounds, value):
    return statistics.median(value(r) for r in rounds)


def summarise(workload, cells):
    """`cells`: the rounds of each server. Gives its medians beside them."""
    summary = {}
    for name, rounds in cells.items():
        its = summary[name] = {"rounds": rounds, "errors": [r["error"] for r in rounds if "error" in r]}
        if its["errors"]:
            continue
        its["disturbed"] = sum(r["disturbed"] for r in rounds)
        if workload == "idle":
            r = rounds[0]  # later ones find the memory that it left
            its["bytes_per_connection"] = (r["rss_with"] - r["rss_before"]) / r["connections"]
            grown = r["rss_with"] - r["rss_before"]
            its["given_back"] = (r["rss_with"] - r["rss_after"]) / grown if grown > 0 else None
            its["idle_cpu"] = median(rounds, lambda r: r["idle_cpu"])
        elif workload == "latency":
            for key in ("rate", "p50", "p99", "p999", "most", "client_behind"):
                its[key] = median(rounds, lambda r, key=key: r[key])
        else:
            its["rate"] = median(rounds, lambda r: r["requests"] / r["seconds"])
            its["cpu_us"] = median(rounds, lambda r: r["cpu"] * 1e6 / r["requests"])
            # The kernel counts it in ticks, so all rounds together.
            its["user_us"] = sum(r["user"] for r in rounds) * 1e6 / sum(r["requests"] for r in rounds)
            its["rss"] = max(r["rss"] for r in rounds)
            if "bytes" in rounds[0]:
                its["bytes_per_cpu_second"] = median(rounds, lambda r: r["bytes"] / max(r["cpu"], 1e-9))
                its["rss_grown"] = max(r["rss"] - r["rss_before"] for r in rounds)
            # Of each pair of rounds, so that what disturbs both cancels out.
            ceiling = cells.get("ceiling")
            if ceiling and not any("error" in r for r in ceiling):
                its["ratio"] = statistics.median(
                    (c["cpu"] / c["requests"]) / (r["cpu"] / r["requests"]) for c, r in zip(ceiling, rounds)
                )
    return summary


def errors(results):
    """The names of servers that gave a wrong answer, or none."""
    return {name for of in results["workloads"].values() for name, its in of.items() if its["errors"]}


def servers_of(results, workloads):
    """In the order in which they were measured."""
    names = {}
    for workload in workloads:
        names.update(dict.fromkeys(results["workloads"].get(workload, {})))
    return list(names)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines) + "\n"


def mib(size):
    return f"{size / 2**20:.1f}"


# By kind of workload: the heads of the columns, and what stands in them.
def columns(workload):
    if workload == "idle":
        return [
            ("bytes for each", lambda s: f"{s['bytes_per_connection']:.0f}"),
            ("given back when they close", lambda s: "–" if s["given_back"] is None else f"{s['given_back']:.0%}"),
            ("CPU while idle", lambda s: f"{s['idle_cpu']:.2%}"),
        ]
    if workload == "latency":
        micros = [(n, lambda s, k=k: f"{s[k] * 1e6:.0f}") for n, k in (
            ("p50 µs", "p50"), ("p99 µs", "p99"), ("p99.9 µs", "p999"), ("most µs", "most"), ("client late by µs", "client_behind"))]  # fmt: skip
        return [("requests/s", lambda s: f"{s['rate']:.0f}"), *micros]
    shared = [
        ("requests/s", lambda s: f"{s['rate']:.0f}"),
        ("CPU µs", lambda s: f"{s['cpu_us']:.2f}"),
        ("user µs", lambda s: f"{s['user_us']:.2f}"),
        ("memory MiB", lambda s: mib(s["rss"])),
    ]
    if workload in RATIOS:
        return [("ceiling ÷ server", lambda s: f"{s['ratio']:.2f}" if "ratio" in s else "–"), *shared]
    return [
        ("GB per CPU second", lambda s: f"{s['bytes_per_cpu_second'] / 1e9:.2f}"),
        *shared,
        ("memory grown MiB", lambda s: mib(s["rss_grown"])),
    ]


def markdown(results):
    text = "# Servers side by side\n\n"
    text += f"{results['date']}; {results['machine']}; medians of {results['rounds']} × {results['seconds']:g} s, in turns.\n"
    text += f"A stripped hello with microdot: {results['hello_bytes'] / 1024:.0f} KiB.\n\n"
    shown = [w for w in RATIOS if w in results["workloads"]]
    if shown:
        text += "CPU time for a request, ceiling ÷ server (1 is what the kernel alone costs):\n\n"
        rows = []
        for name in servers_of(results, shown):
            of = [results["workloads"][w].get(name, {}) for w in shown]
            rows.append([name] + [f"{its['ratio']:.2f}" if "ratio" in its else "error" if its.get("errors") else "–" for its in of])
        text += table([""] + [NAMES[w] for w in shown], rows)
    for workload, of in results["workloads"].items():
        text += f"## {NAMES[workload][0].upper()}{NAMES[workload][1:]}\n\n"
        heads = columns(workload)
        rows, wrong = [], ""
        for name, its in of.items():
            if its["errors"]:
                rows.append([name] + ["error"] + [""] * len(heads))
                wrong += f"{name}: {' '.join(its['errors'][0].split())}\n\n"
            else:
                rows.append([name] + [value(its) for _, value in heads] + [f"{its['disturbed']} of {len(its['rounds'])}"])
        text += table([""] + [head for head, _ in heads] + ["disturbed"], rows) + wrong
    text += "## Memory at the start\n\n"
    return text + table(["", "MiB"], [[name, mib(size)] for name, size in results["start"].items()])


STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.axis { stroke: #8c959f; stroke-dasharray: 3 3 }
.other { fill: #afb8c1 }
.own { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .axis { stroke: #6e7681 }
  .other { fill: #484f58 }
  .own { fill: #4493f8 }
}
</style>
"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(results):
    """A panel for each workload, a bar for each server; microdot's stand out."""
    left, width, bar, across = 90, 200, 16, 2
    panels, y, x, row_height = "", 30, 0, 0
    shown = [w for w in RATIOS if any("ratio" in s for s in results["workloads"].get(w, {}).values())]
    for number, workload in enumerate(shown):
        bars = [(n, s["ratio"]) for n, s in results["workloads"][workload].items() if "ratio" in s and n != "ceiling"]
        bars.sort(key=lambda pair: -pair[1])
        if number % across == 0 and number:
            y, row_height = y + row_height, 0
        x = (number % across) * (left + width + 70)
        panels += f'<text x="{x + left}" y="{y + 12}" font-weight="bold">{escape(NAMES[workload])}</text>\n'
        for i, (name, ratio) in enumerate(bars):
            top = y + 22 + i * (bar + 3)
            size = min(ratio, 1.15) * width
            kind = "own" if name == "microdot" else "other"
            panels += f'<text x="{x + left - 6}" y="{top + 12}" text-anchor="end">{escape(name)}</text>\n'
            panels += f'<rect class="{kind}" x="{x + left}" y="{top}" width="{size:.1f}" height="{bar}"/>\n'
            panels += f'<text x="{x + left + size + 4:.1f}" y="{top + 12}">{ratio:.2f}</text>\n'
        height = 22 + len(bars) * (bar + 3)
        panels += f'<line class="axis" x1="{x + left + width}" x2="{x + left + width}" y1="{y + 18}" y2="{y + height}"/>\n'
        row_height = max(row_height, height + 16)
    title = "CPU time for a request: ceiling ÷ server; 1 is what the kernel alone costs"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across * (left + width + 70)} {y + row_height}" role="img">\n'
        f"<title>{title}</title>\n{STYLE}<text x=\"8\" y=\"16\">{title}</text>\n{panels}</svg>\n"
    )

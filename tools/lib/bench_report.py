"""One HTML page from results: tables and plots in inline SVG, for light and dark screens.
SPDX-License-Identifier: Apache-2.0
"""
import dataclasses
import html
import math

from bench_result import READING, number

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1f22; --soft: #666d75;
  --line: #d9dbd6; --user: #2f6f9f; --system: #d08a2e; --mark: #8a3f7d; --good: #2e7d4f;
  --bad: #b3362c; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e4e5e3; --soft: #9aa1a9;
  --line: #363a40; --user: #6aa9d8; --system: #e2a857; --mark: #c98abd; --good: #6cc292;
  --bad: #ec8277; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { margin: 2.5rem 0 .3rem; font-size: 1.2rem; }
p.about, .note { color: var(--soft); margin: .2rem 0; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums;
  display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td:first-child { white-space: normal;
  min-width: 16rem; } th { font-weight: 600; color: var(--soft); white-space: normal;
  vertical-align: bottom; }
.spread { color: var(--soft); font-size: .85em; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .axis { stroke: var(--line); stroke-width: 1; }
svg .user { fill: var(--user); } svg .system { fill: var(--system); }
svg .whisker { stroke: var(--ink); stroke-width: 1.2; } svg .sample { fill: var(--mark); }
svg .delay { fill: none; stroke-width: 1.8; }
.good { color: var(--good); } .bad { color: var(--bad); }
"""

# Lines of a plot, readable on both papers.
COLOURS = ("#3f86bf", "#d08a2e", "#8f5fb0", "#3f9a63", "#c9574c", "#5b8a8a", "#a07c3a", "#b0578f")
WIDTH, LABEL, ROW, MARGIN = 920, 270, 30, 60
COLUMNS = ("cpu_ns_per_packet", "cpu_user_ns_per_packet", "cpu_system_ns_per_packet",
           "packets_per_core_second", "packets_per_second", "cores", "packets_per_message", "loss",
           "added_delay_p50_us", "added_delay_p99_us", "added_delay_p999_us", "ratio_to_limit",
           "times_ours", "speedup", "times_plain", "instructions_without_cipher",
           "instructions_with_cipher", "join_p99_ms", "first_packet_p99_ms", "first_frame_p99_ms",
           "participant_bytes", "subscription_bytes", "resident_bytes")


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure that the design asks for."""
    text: str
    benchmark: str
    case: str
    key: str
    most: float | None = None
    least: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether the value keeps to the goal."""
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least)


GOALS = (
    Goal("A in ≤ 0.25 core", "gallery", "router-gallery-sink", "cores", most=0.25),
    Goal("A: p99 added delay ≤ 10 ms", "gallery", "router-gallery-sink", "added_delay_p99_us",
         most=10_000),
    Goal("A: nothing lost", "gallery", "router-gallery-loopback", "loss", most=0),
    Goal("B ≥ 1,000,000 packets/s a core", "stage", "router-stage-1000-sink",
         "packets_per_core_second", least=1e6),
    Goal("B ≥ 350,000 packets/s a core without segmentation", "stage",
         "path-stage-1000-sink-unsegmented", "packets_per_core_second", least=350e3),
    Goal("engine without cipher ≤ 350 instructions a packet", "engine", "fanout",
         "instructions_without_cipher", most=350),
    Goal("NACK and estimation on cost ≤ 15 % more instructions", "engine", "fanout-feedback",
         "times_plain", most=1.15),
    Goal("full path ≤ 1.3 × limit", "gallery", "router-gallery-sink", "ratio_to_limit", most=1.3),
    Goal("one meeting over all workers ≥ 1.8 × on 2", "scale", "path-stage-1000-sink-max-2-workers",
         "speedup", least=1.8),
    Goal("first decodable frame ≤ 100 ms after subscribe (p99)", "churn", "router-churn-loopback",
         "first_frame_p99_ms", most=100),
    Goal("≤ 1 KiB a subscription", "memory", "bytes", "subscription_bytes", most=1024),
    Goal("≤ 32 KiB a participant", "memory", "bytes", "participant_bytes", most=32768),
)


def goal_rows(results: list[dict]) -> list[tuple[str, str, str, bool | None]]:
    """(goal, what was measured, by which command, met) of every goal; None: not measured."""
    rows = []
    for goal in GOALS:
        summary = next((case["summary"] for result in results for case in result["cases"]
                        if result["benchmark"] == goal.benchmark and case["name"] == goal.case), {})
        value = summary.get(goal.key)
        command = f"tools/bench {goal.benchmark}: {goal.case}, {goal.key}"
        if value is None:
            rows.append((goal.text, "not measured", command, None))
        else:
            spread = f"{number(value)} ({number(summary[goal.key + '_min'])} to " \
                     f"{number(summary[goal.key + '_max'])})"
            rows.append((goal.text, spread, command, goal.is_met(value)))
    return rows


def escape(text: object) -> str:
    """For HTML."""
    return html.escape(str(text))


def text_at(x: float, y: float, words: object, style: str = "", anchor: str = "start") -> str:
    """A text of a plot."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">' \
           f"{escape(words)}</text>"


def scale_of(most: float) -> tuple[float, float]:
    """Upper end and step of an axis from 0: 4 to 10 round steps."""
    if most <= 0:
        return 1.0, 0.25
    power = 10 ** math.floor(math.log10(most))
    step = next(power * part for part in (0.1, 0.2, 0.25, 0.5, 1) if most / (power * part) <= 10)
    return step * math.ceil(most / step - 1e-9), step


def axis(top: float, step: float, height: float, unit: str) -> str:
    """Vertical lines with figures below."""
    parts = []
    for i in range(round(top / step) + 1):
        x = LABEL + (WIDTH - LABEL - MARGIN) * i * step / top
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height:.1f}"/>')
        parts.append(text_at(x, height + 16, number(i * step), "soft", "middle"))
    parts.append(text_at(WIDTH - 4, height + 32, unit, "soft", "end"))
    return "".join(parts)


def svg(height: float, content: str, title: str) -> str:
    """A plot."""
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">' \
           f"<title>{escape(title)}</title>{content}</svg>"


def cost_plot(cases: list[dict]) -> str:
    """CPU a packet of each case: user and system stacked, a whisker from least to most, a point
    a repetition."""
    cases = [c for c in cases if c["summary"].get("cpu_ns_per_packet")]
    if not cases:
        return ""
    top, step = scale_of(max(c["summary"]["cpu_ns_per_packet_max"] for c in cases))
    height = 8 + ROW * len(cases)

    def place(value: float) -> float:
        return LABEL + (WIDTH - LABEL - MARGIN) * value / top

    parts = [axis(top, step, height, "ns CPU a forwarded packet: user, then system")]
    for i, case in enumerate(cases):
        y, summary = 8 + ROW * i, case["summary"]
        total = summary["cpu_ns_per_packet"]
        user = min(total, summary.get("cpu_user_ns_per_packet") or total)
        parts.append(text_at(LABEL - 8, y + 15, case["name"], "", "end"))
        for style, low, high in (("user", 0, user), ("system", user, total)):
            parts.append(f'<rect class="{style}" x="{place(low):.1f}" y="{y + 2}" height="18" '
                         f'width="{max(0.0, place(high) - place(low)):.1f}"/>')
        low, high = summary["cpu_ns_per_packet_min"], summary["cpu_ns_per_packet_max"]
        parts.append(f'<line class="whisker" x1="{place(low):.1f}" x2="{place(high):.1f}" '
                     f'y1="{y + 11}" y2="{y + 11}"/>')
        for sample in case.get("samples", []):
            parts.append(f'<circle class="sample" r="2.4" cy="{y + 11}" '
                         f'cx="{place(sample["cpu_ns_per_packet"]):.1f}"/>')
        parts.append(text_at(place(high) + 6, y + 15, number(total), "soft"))
    return svg(height + 40, "".join(parts), "CPU a forwarded packet")


def delay_plot(cases: list[dict]) -> str:
    """Added delay by percentile on a logarithmic scale, one line a case; the names stand beside
    the lines' ends, in their order."""
    keys = ("added_delay_p50_us", "added_delay_p90_us", "added_delay_p99_us",
            "added_delay_p999_us")
    lines = [(case["name"], [case["summary"].get(key) for key in keys]) for case in cases]
    lines = sorted(((name, values) for name, values in lines if all(values)),
                   key=lambda line: -line[1][-1])
    if not lines:
        return ""
    low = math.floor(math.log10(min(min(v) for _, v in lines)))
    high = max(low + 1, math.ceil(math.log10(max(max(v) for _, v in lines))))
    height, left, right = 240, 100, 330

    def place(index: int, value: float) -> tuple[float, float]:
        x = left + (WIDTH - left - right) * index / (len(keys) - 1)
        return x, 10 + (height - 20) * (high - math.log10(value)) / (high - low)

    parts = []
    for power in range(low, high + 1):
        _, y = place(0, 10 ** power)
        parts.append(f'<line class="axis" x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/>'
                     + text_at(left - 8, y + 4, f"{10.0 ** power:,g} µs", "soft", "end"))
    for i, name in enumerate(("p50", "p90", "p99", "p99.9")):
        parts.append(text_at(place(i, 10 ** low)[0], height + 8, name, "soft", "middle"))
    beneath = 0.0
    for i, (name, values) in enumerate(lines):
        points = [place(place_at, value) for place_at, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = COLOURS[i % len(COLOURS)]
        beneath = max(points[-1][1], beneath + 15)
        parts.append(f'<polyline class="delay" stroke="{colour}" points="{path}"/>'
                     f'<circle r="4" fill="{colour}" cx="{points[-1][0] + 14:.1f}" '
                     f'cy="{beneath:.1f}"/>')
        parts.append(text_at(points[-1][0] + 24, beneath + 4, name))
    return svg(max(height + 20, beneath + 12), "".join(parts), "added delay")


def table(cases: list[dict]) -> str:
    """Medians with their spread; the columns that any case has."""
    keys = [key for key in COLUMNS if any(c["summary"].get(key) is not None for c in cases)]
    names = dict(READING)
    head = "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in keys)
    rows = []
    for case in cases:
        cells = []
        for key in keys:
            value = case["summary"].get(key)
            spread = "" if value is None else (
                f'<div class="spread">{number(case["summary"][key + "_min"])} to '
                f'{number(case["summary"][key + "_max"])}</div>')
            cells.append(f'<td title="{escape(names.get(key, key))}">{number(value)}{spread}</td>')
        rows.append(f'<tr><td>{escape(case["name"])}<div class="spread">{escape(case["about"])}'
                    f'</div></td>{"".join(cells)}</tr>')
    return f"<table><tr><th>case</th>{head}</tr>{''.join(rows)}</table>" if keys else ""


def goals(results: list[dict]) -> str:
    """The goals with what was measured."""
    words = {True: '<span class="good">met</span>', False: '<span class="bad">missed</span>',
             None: "–"}
    rows = "".join(f'<tr><td>{escape(text)}<div class="spread">{escape(command)}</div></td>'
                   f"<td>{escape(value)}</td><td>{words[met]}</td></tr>"
                   for text, value, command, met in goal_rows(results))
    return "<h2>Goals</h2><table><tr><th>goal</th><th>median (least to most)</th><th></th></tr>" \
           f"{rows}</table>"


def rows_table(rows: list[dict]) -> str:
    """Rows under their keys."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(key)}</th>" for key in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row.values()) + "</tr>"
                   for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def details(cases: list[dict]) -> str:
    """What has no column: figures of single calls, remarks, profiles."""
    parts = []
    for case in cases:
        rest = [(k, v) for k, v in case["summary"].items() if v is not None and k not in COLUMNS
                and not k.endswith(("_min", "_max"))]
        body = "".join(f"<tr><td>{escape(k)}</td><td>{number(v)}</td></tr>" for k, v in rest)
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in case.get("notes", []))
        inner = notes + (f"<table>{body}</table>" if body else "")
        inner += rows_table(case["parameters"].get("rows", []))
        if inner:
            parts.append(f"<details{' open' if notes else ''}><summary>{escape(case['name'])}"
                         f"</summary>{inner}</details>")
    return "".join(parts)


def page(results: list[dict]) -> str:
    """The whole page."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>Roundhouse benchmarks"
             f"</title><meta name=viewport content='width=device-width'><style>{STYLE}</style>"
             "<h1>Roundhouse benchmarks</h1>", goals(results)]
    for result in results:
        about = f"{result['machine']}; commit {result['commit']}; {result.get('time', '')}; " \
                f"{result['repetitions']} repetitions"
        parts.append(f"<h2>{escape(result['benchmark'])}</h2><p class=about>{escape(about)}</p>")
        parts += [cost_plot(result["cases"]), delay_plot(result["cases"]),
                  table(result["cases"]), details(result["cases"])]
        if result.get("profile"):
            parts.append("<details><summary>profile of the server</summary>"
                         + rows_table(result["profile"]) + "</details>")
    return "\n".join(parts) + "</html>\n"

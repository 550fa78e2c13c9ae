"""Regressions against a stored baseline. SPDX-License-Identifier: Apache-2.0

Judged are figures with little noise: instructions by callgrind, allocations, bytes of a
participant, a track and a subscription. Times depend on the machine and on who else uses it: they
are shown, never judged. Figures that need the same cipher backend are left out where it differs.
"""
import json
import pathlib
import re

# Pattern of the key, allowed growth as a share, whether the cipher backend must be the same.
JUDGED = (
    (r"instructions_with_cipher$", 0.02, True),
    (r"instructions_\w+$", 0.02, False),
    (r".*_allocations$", 0.0, False),
    (r"(?:participant|subscription|track)_bytes$", 0.05, False),
)
SHOWN = ("cpu_ns_per_packet", "packets_per_core_second", "ratio_to_limit", "loss",
         "added_delay_p99_us", "speedup", "times_ours")
ROUNDING = 1e-5


def read(paths: list[pathlib.Path]) -> list[dict]:
    """The results in files of --json, those of `all` among them."""
    found = []
    for path in paths:
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from None
        found += content["benchmarks"] if "benchmarks" in content else [content]
    if any("benchmark" not in result or "cases" not in result for result in found):
        raise SystemExit("a file is no result of tools/bench")
    return found


def store(results: list[dict], path: pathlib.Path) -> None:
    """Makes the results the baseline of their benchmarks; others in the file stay."""
    old = json.loads(path.read_text())["benchmarks"] if path.exists() else []
    fresh = {result["benchmark"]: slim(result) for result in results}
    kept = [result for result in old if result["benchmark"] not in fresh]
    merged = sorted(kept + list(fresh.values()), key=lambda result: result["benchmark"])
    path.write_text(json.dumps({"benchmarks": merged}, indent=1, ensure_ascii=False) + "\n")


def slim(result: dict) -> dict:
    """A result without its samples."""
    cases = [{k: v for k, v in case.items() if k not in ("samples", "notes")}
             for case in result["cases"]]
    return {**result, "cases": cases}


def rule_of(key: str) -> tuple[float, bool] | None:
    """How a figure is judged; None: it is not."""
    for pattern, growth, needs_cipher in JUDGED:
        if re.match(pattern, key):
            return growth, needs_cipher
    return None


def compare_case(new: dict, old: dict) -> list[tuple[str, str, float, float]]:
    """Rows (verdict, key, old, new) of a case. Verdicts: worse, better, same, shown, skipped."""
    rows = []
    same_cipher = new["parameters"].get("cipher") == old["parameters"].get("cipher")
    for key, value in new["summary"].items():
        before = old["summary"].get(key)
        if value is None or before is None or key.endswith(("_min", "_max")):
            continue
        rule = rule_of(key)
        if rule is None:
            if key in SHOWN:
                rows.append(("shown", key, before, value))
        elif rule[1] and not same_cipher:
            rows.append(("skipped", key, before, value))
        else:
            rows.append((verdict(before, value, rule[0]), key, before, value))
    return rows


def verdict(before: float, value: float, growth: float) -> str:
    """worse beyond the allowed growth, better beyond the same in the other direction."""
    margin = before * (growth + ROUNDING)
    return "worse" if value > before + margin else "better" if value < before - margin else "same"


def judge_missing(new: dict, old: dict) -> list[str]:
    """Judged figures of the baseline that are gone: a check that vanishes is not passed."""
    return [key for key, value in old["summary"].items()
            if value is not None and rule_of(key) and not key.endswith(("_min", "_max"))
            and new["summary"].get(key) is None]


def compare(results: list[dict], baseline: list[dict]) -> tuple[list[str], int]:
    """Lines for people and how many figures are worse or missing."""
    lines, failures = [], 0
    stored = {result["benchmark"]: result for result in baseline}
    for result in results:
        name = result["benchmark"]
        if name not in stored:
            lines.append(f"{name}: not in the baseline")
            continue
        lines.append(f"{name}: {stored[name]['commit']} → {result['commit']}")
        if stored[name]["machine"] != result["machine"]:
            lines.append(f"  another machine than the baseline's: {stored[name]['machine']}")
        cases = {case["name"]: case for case in stored[name]["cases"]}
        for case in result["cases"]:
            if case["name"] not in cases:
                lines.append(f"  {case['name']}: not in the baseline")
                continue
            old = cases.pop(case["name"])
            for word, key, before, value in compare_case(case, old):
                failures += word == "worse"
                change = f"{100 * (value / before - 1):+.1f} %" if before else ""
                lines.append(f"  {word:8} {case['name']} {key}: {before:,.6g} → {value:,.6g} "
                             f"{change}")
            for key in judge_missing(case, old):
                failures += 1
                lines.append(f"  missing  {case['name']} {key}")
        for gone in cases.values():
            if any(rule_of(key) and value is not None for key, value in gone["summary"].items()):
                failures += 1
                lines.append(f"  missing  {gone['name']}: a judged case was not measured")
    return lines, failures

"""Repetitions, cases and the result of a benchmark. SPDX-License-Identifier: Apache-2.0

A benchmark has one or more cases (a scenario in one way of measuring). Repetitions go round over
the cases, so what disturbs the machine for a while disturbs all of them.
"""
import collections.abc
import dataclasses
import datetime
import pathlib

import bench_machine
import bench_stats
from bench_stats import Sample


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asked for.

    seconds   length of one measurement
    network   "private": in a namespace with a dropping device; "loopback": neither
    server    the roundhouse executable
    folder    of the whole run: a server's data, so that accounts are made only once
    """
    repetitions: int = 5
    seconds: float = 3.0
    network: str = "loopback"
    server: str = ""
    folder: pathlib.Path = pathlib.Path()
    is_quick: bool = False


@dataclasses.dataclass
class Case:
    """A scenario in one way of measuring.

    measure     takes one sample; the dictionary is shared by the cases of one round, so a later
                case can be set against an earlier one
    parameters  what the sample depends on and what it was found to use (cipher, …)
    """
    name: str
    about: str
    measure: collections.abc.Callable[[dict], Sample]
    parameters: dict = dataclasses.field(default_factory=dict)
    samples: list[Sample] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        """Keeps a remark for the reader, once."""
        if text not in self.notes:
            self.notes.append(text)

    def as_dict(self) -> dict:
        """For the JSON file."""
        return {"name": self.name, "about": self.about, "parameters": self.parameters,
                "summary": bench_stats.summarise(self.samples), "samples": self.samples,
                "notes": self.notes}


def measure(cases: list[Case], repetitions: int, label: str) -> None:
    """Takes the samples of all cases, round by round."""
    for number in range(1, repetitions + 1):
        shared: dict = {}
        for case in cases:
            sample = case.measure(shared)
            case.samples.append(sample)
            bench_machine.say(f"{label} {case.name} {number}/{repetitions}: {line_of(sample)}")


def result(name: str, cases: list[Case], headline: str, repetitions: int) -> dict:
    """The object that --json writes; the case named headline gives the summary."""
    first = next(case for case in cases if case.name == headline)
    return {"benchmark": name, "machine": bench_machine.machine(),
            "commit": bench_machine.commit(),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "repetitions": repetitions, "headline": headline,
            "summary": bench_stats.summarise(first.samples),
            "cases": [case.as_dict() for case in cases]}


def number(value: float | None, unit: str = "") -> str:
    """A figure for people: three significant digits and a thousands separator."""
    if value is None:
        return "–"
    if value != 0 and abs(value) < 100:
        text = f"{value:.3g}"
    else:
        text = f"{value:,.0f}"
    return f"{text}{unit}"


# (key, how it reads); the order of the lines that people see.
READING = (
    ("cpu_ns_per_packet", "{} ns CPU a packet"), ("cpu_user_ns_per_packet", "{} user"),
    ("cpu_system_ns_per_packet", "{} system"), ("packets_per_core_second", "{} packets/s a core"),
    ("packets_per_second", "{} packets/s"), ("cores", "{} cores"),
    ("packets_per_message", "{} packets a message"), ("loss", "loss {}"),
    ("added_delay_p50_us", "delay p50 {} µs"), ("added_delay_p99_us", "p99 {} µs"),
    ("added_delay_p999_us", "p99.9 {} µs"), ("ratio_to_limit", "{} × limit"),
    ("times_ours", "{} × ours"), ("speedup", "{} × one worker"), ("times_plain", "{} × plain"),
    ("instructions_without_cipher", "{} instructions"),
    ("instructions_with_cipher", "{} with cipher"), ("join_p99_ms", "join p99 {} ms"),
    ("first_packet_p99_ms", "first packet p99 {} ms"),
    ("first_frame_p99_ms", "first frame p99 {} ms"),
    ("participant_bytes", "{} B a participant"), ("subscription_bytes", "{} B a subscription"),
)


def line_of(sample: Sample) -> str:
    """A sample in one line."""
    return ", ".join(text.format(number(sample[key])) for key, text in READING
                     if sample.get(key) is not None) or "done"


def print_result(found: dict) -> None:
    """The result for people: each case with median and spread."""
    print(f"{found['benchmark']}: {found['machine']}; commit {found['commit']}; "
          f"{found['repetitions']} repetitions; median (least to most)")
    for case in found["cases"]:
        print(f"\n  {case['name']}: {case['about']}")
        summary = case["summary"]
        named = dict(READING)
        for key in [k for k, _ in READING] + sorted(
                k for k in summary if k not in named and not k.endswith(("_min", "_max"))):
            if summary.get(key) is not None:
                print(f"    {key:32} {number(summary[key]):>12}  "
                      f"({number(summary[key + '_min'])} to {number(summary[key + '_max'])})")
        print_rows(case["parameters"].get("rows", []))
        for note in case["notes"]:
            print(f"    note: {note}")
    if found.get("profile"):
        print("\n  profile of the server")
        print_rows(found["profile"])


def print_rows(rows: list[dict]) -> None:
    """Rows under their keys."""
    if rows:
        widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
        for row in [{key: key for key in widths}, *rows]:
            print("    " + "  ".join(f"{row[key]!s:{width}}" for key, width in widths.items()))

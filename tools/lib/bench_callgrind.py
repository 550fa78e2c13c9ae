"""Instructions of the engine by callgrind. SPDX-License-Identifier: Apache-2.0

Reads callgrind's output file (its "Callgrind Format Specification") as a call graph. Counted is
what is spent from the moment the benchmark calls into the engine until the engine returns, and of
that what the engine spends in its cipher. Two runs of different length are subtracted, so that
what happens once does not count.
"""
import collections
import dataclasses
import pathlib
import re
import subprocess

CORE = "CSources/CRouter/"
CIPHER = CORE + "crypto/"
PROFILE_ROWS = 20


@dataclasses.dataclass(frozen=True)
class Call:
    """All calls of one function by another: files, names, instructions with what they called."""
    from_file: str
    from_name: str
    to_file: str
    to_name: str
    instructions: int


@dataclasses.dataclass
class Graph:
    """What callgrind saw: the calls, and instructions by (file, function) without callees."""
    calls: list[Call]
    own: dict[tuple[str, str], int]


def parse(text: str) -> Graph:
    """Reads a file of callgrind. Names may be abbreviated: "(3) name", later "(3)"."""
    names: dict[tuple[str, str], str] = {}

    def full(kind: str, value: str) -> str:
        found = re.match(r"\((\d+)\)(?: (.*))?$", value)
        if not found:
            return value
        if found.group(2) is not None:
            names[kind, found.group(1)] = found.group(2)
        return names[kind, found.group(1)]

    totals: dict[tuple[str, str, str, str], int] = collections.defaultdict(int)
    own: dict[tuple[str, str], int] = collections.defaultdict(int)
    file = name = to_file = to_name = ""
    is_call = False
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("fl", "fi", "fe"):
            path = full("file", value)
            # fi and fe name the file of inlined lines; the function stays where it is.
            file = to_file = path if key == "fl" else file
        elif key == "fn":
            name, to_file = full("function", value), file
        elif key in ("cfi", "cfl"):
            to_file = full("file", value)
        elif key == "cfn":
            to_name = full("function", value)
        elif key in ("ob", "cob"):
            full("object", value)
        elif key == "calls":
            is_call = True
        elif is_call:
            totals[file, name, to_file, to_name] += int(line.split()[1])
            is_call, to_file = False, file
        elif re.match(r"[+*\-\d]\S* \d", line):
            own[file, name] += int(line.split()[1])
    return Graph([Call(*key, instructions) for key, instructions in totals.items()], own)


def engine_cost(calls: list[Call]) -> dict[str, int]:
    """Instructions of all calls from outside into the engine, the cipher's part of them, and the
    part of receiving."""
    def is_engine(path: str) -> bool:
        return CORE in path and CIPHER not in path

    into = [c for c in calls if CORE not in c.from_file and is_engine(c.to_file)]
    cipher = [c for c in calls if is_engine(c.from_file) and CIPHER in c.to_file]
    if not into or not cipher:
        raise SystemExit("callgrind saw no call into the engine or its cipher: no debug names?")
    return {"all": sum(c.instructions for c in into),
            "cipher": sum(c.instructions for c in cipher),
            "receive": sum(c.instructions for c in into if c.to_name == "rh_receive")}


def run(command: list[str], out: pathlib.Path) -> Graph:
    """Runs a command under callgrind."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q", *command],
        capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise SystemExit(f"callgrind of {command[0]}: {done.stderr.strip()}")
    return parse(out.read_text())


def instructions(short: Graph, long: Graph, packets: int) -> dict[str, float]:
    """Instructions a forwarded packet from two runs that differ by so many forwarded packets."""
    before, after = engine_cost(short.calls), engine_cost(long.calls)
    each = {key: (after[key] - before[key]) / packets for key in after}
    return {"instructions_with_cipher": each["all"],
            "instructions_without_cipher": each["all"] - each["cipher"],
            "instructions_receive_share": each["receive"]}


def profile(short: Graph, long: Graph, packets: int) -> list[dict]:
    """The functions that cost most a forwarded packet, without what they call; the benchmark's
    own are left out."""
    each = {key: (count - short.own.get(key, 0)) / packets for key, count in long.own.items()
            if "/Benchmarks/" not in key[0]}
    top = sorted(each.items(), key=lambda item: -item[1])[:PROFILE_ROWS]
    return [{"instructions": round(cost, 1), "function": name, "file": file.rsplit("/", 1)[-1]}
            for (file, name), cost in top if cost >= 0.5]

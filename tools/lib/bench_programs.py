"""Builds and runs the C programs of Benchmarks. SPDX-License-Identifier: Apache-2.0

A program is one file that links the C core as the release build compiles it. Objects are kept in
.build-bench and rebuilt when a source or any header changed. A program prints one JSON object.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess

import common

BUILD = common.ROOT / ".build-bench"
CORE = common.ROOT / "CSources/CRouter"
PROGRAMS = {"engine": "Engine/engine.c", "limit": "Limit/limit.c", "micro": "Micro/micro.c",
            "path": "Path/path.c", "load-receive": "Load/receive.c"}
LOAD = ("CSources/CLoad", "CSources/CMedia")


def flags() -> list[str]:
    """Package.swift's flags of the core in release, with names for callgrind (valgrind here
    reads DWARF 4)."""
    return ["-std=c2x", "-O3", "-gdwarf-4", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
            *(f"-I{common.ROOT}/{folder}" for part in ("CSources/CRouter", *LOAD)
              for folder in (part, f"{part}/include")), f"-I{common.ROOT}/Benchmarks"]


def sources_of(name: str) -> list[pathlib.Path]:
    """The program's file, the core, and for the load tool's loop that loop and what plays clips."""
    found = [common.ROOT / "Benchmarks" / PROGRAMS[name], *sorted(CORE.rglob("*.c"))]
    if name == "load-receive":
        loop, clips = (common.ROOT / folder for folder in LOAD)
        found += [*sorted(loop.glob("*.c")), clips / "cursor.c"]
    return found


def compile_one(clang: str, source: pathlib.Path, newest_header: float) -> pathlib.Path:
    """The object of a source."""
    target = BUILD / source.relative_to(common.ROOT).with_suffix(".o")
    if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime, newest_header):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    done = subprocess.run([clang, *flags(), "-c", str(source), "-o", str(fresh)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{source}:\n{done.stderr}")
    fresh.replace(target)
    return target


def build(name: str) -> pathlib.Path:
    """Compiles a benchmark with the core. Ends the run with the compiler's words if it cannot."""
    clang = common.toolchain("clang")
    sources = sources_of(name)
    if not sources[0].exists():
        raise SystemExit(f"there is no {sources[0].relative_to(common.ROOT)}")
    headers = [path for folder in ("CSources", "Benchmarks")
               for path in (common.ROOT / folder).rglob("*.h")]
    newest = max(path.stat().st_mtime for path in headers)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        objects = list(pool.map(lambda source: compile_one(clang, source, newest), sources))
    libraries = [*common.core_libraries("libuv", "libssl"), "-lm", "-lpthread"]
    program = BUILD / name
    fresh = program.with_suffix(f".{os.getpid()}")
    done = subprocess.run([clang, *map(str, objects), *libraries, "-o", str(fresh)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"linking {name}:\n{done.stderr}")
    fresh.replace(program)
    return program


def options_of(options: dict[str, object]) -> list[str]:
    """--name value for each; "_" in a name is "-"."""
    return [word for name, value in options.items() if value is not None
            for word in (f"--{name.replace('_', '-')}", str(value))]


def run(program: pathlib.Path, words: list[str], options: dict[str, object] | None = None,
        timeout: float = 120) -> dict:
    """Runs a program and reads the object it prints; ends the run after so many seconds."""
    command = [str(program), *words, *options_of(options or {})]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{' '.join(command)}: still running after {timeout} s") from None
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)

"""The stages of tools/test. SPDX-License-Identifier: Apache-2.0

A stage is a list of commands; each counts what it ran from its output.
"""
import dataclasses
import re

MEDIA_TARGETS = "CUV COpenSSL CRouter CDTLS MediaPlane MediaPlaneTests"
FUZZ_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of the test run.

    lane      stages of one lane run one after another; lanes run side by side
    command   program and arguments, run in the repository's root
    counts    finds passed and failed in the output
    seconds   after which it is ended and counts as failed
    """
    name: str
    about: str
    lane: str
    command: tuple[str, ...]
    counts: str = "tool"
    seconds: int = 900
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()


def reduced(name: str, sanitizer: str) -> Stage:
    """A sanitizer run of the media plane in the package graph that holds it alone.

    The meeting of a thousand is left out: it takes minutes, and where two workers contend for a
    Mutex, whose waiting the sanitizer cannot see, it reports races that are none.
    """
    return Stage(
        name, f"media plane's tests with the {sanitizer} sanitizer", "build",
        ("swift", "test", f"--sanitize={sanitizer}", "--disable-xctest",
         "--scratch-path", f".build-{name}", "--skip", "LargeMeetingTests"),
        "swift", 1200, (("ROUNDHOUSE_TARGETS", MEDIA_TARGETS),))


def stages(python: str, keep: bool) -> list[Stage]:
    """Every stage, in the order of their names' listing."""
    return [
        Stage("tidy", "style and structure; each rule against its examples", "first",
              ("bash", "-c", "tools/tidy --self-test && tools/tidy")),
        Stage("build", "release build of everything with the tests", "build",
              ("swift", "build", "-c", "release", "--build-tests"), "exit", 2400),
        Stage("c", "the C core's tests with ASan and UBSan", "side", ("tools/ctest",)),
        Stage("threads", "the C core's tests that have threads, with TSan", "side",
              ("tools/ctest", "--tsan")),
        Stage("web", "the web client's unit tests", "side",
              ("node", "--test", "Tests/WebClient"), "node", 300),
        Stage("bench", "the benchmarks' statistics, parsers, report and comparison", "side",
              ("tools/bench", "--self-test"), "tool", 300),
        Stage("fuzz", f"every fuzz target for {FUZZ_SECONDS} s", "side",
              ("tools/fuzz", "--all", str(FUZZ_SECONDS)), "tool", 2400),
        Stage("swift", "the Swift tests, release build", "build",
              ("swift", "test", "-c", "release", "--disable-xctest", "--skip-build"),
              "swift", 900, needs=("build",)),
        reduced("tsan", "thread"),
        reduced("asan", "address"),
        Stage("system", "whole systems with real browsers and libraries", "last",
              (python, "-m", "pytest", "Tests/System", "-p", "no:cacheprovider", "-v",
               "--tb=short", *(("--keep",) if keep else ())),
              "pytest", 2100, needs=("build",)),
    ]


def last_count(output: str) -> tuple[int, int]:
    """`N passed, M failed`, as our tools end."""
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return (sum(int(p) for p, _ in found), sum(int(f) for _, f in found)) if found else (0, 0)


def swift_count(output: str) -> tuple[int, int]:
    """Swift Testing's marks, one a test."""
    passed = len(re.findall(r"^\W*Test .* passed after ", output, re.M))
    failed = len(re.findall(r"^\W*Test .* failed after ", output, re.M))
    return passed, failed


def node_count(output: str) -> tuple[int, int]:
    """The summary of node's test runner."""
    def number(word: str) -> int:
        found = re.search(rf"^\W*{word} (\d+)$", output, re.M)
        return int(found.group(1)) if found else 0
    return number("pass"), number("fail")


def pytest_count(output: str) -> tuple[int, int]:
    """pytest's last line; an error in a fixture is a failure."""
    last = output.rstrip().rsplit("\n", 1)[-1]

    def number(word: str) -> int:
        found = re.search(rf"(\d+) {word}", last)
        return int(found.group(1)) if found else 0
    return number("passed"), number("failed") + number("errors?") + number("skipped")


COUNTERS = {"tool": last_count, "swift": swift_count, "node": node_count,
            "pytest": pytest_count, "exit": lambda output: (0, 0)}


def count(stage: Stage, code: int, output: str) -> tuple[int, int]:
    """What a stage passed and failed. A stage that ends badly, or that ran nothing, failed."""
    passed, failed = COUNTERS[stage.counts](output)
    if stage.counts == "exit" and code == 0:
        return 1, 0
    if (code != 0 or passed == 0) and failed == 0:
        failed = 1
    return passed, failed

"""What each benchmark measures. SPDX-License-Identifier: Apache-2.0

A plan makes the cases of a benchmark, the limit before what is set against it. Its first word is
the case whose summary stands for the benchmark.
"""
import os
import shutil

import bench_core
import bench_janus
import bench_memory
import bench_router
from bench_core import Scenario, limit_case, path_case
from bench_result import Case, Options
from bench_router import router_case

Plan = tuple[str, list[Case]]


def alone(cases: list[Case]) -> Plan:
    """The first case stands for all."""
    return cases[0].name, cases


def scenario_plan(options: Options, plan: bench_router.Meetings, scenario: Scenario,
                  base: Scenario) -> Plan:
    """A scenario in every way: the whole router and the worker alone, into the dropping device
    and on loopback, each against the limit measured there."""
    cases = []
    loopback = Scenario(base.name, "loopback", base.participants)
    if options.network == "private":
        unsegmented = Scenario(scenario.name, "sink", scenario.participants, "off")
        base_unsegmented = Scenario(base.name, "sink", base.participants, "off")
        cases += [limit_case(base, options.seconds),
                  router_case(options, plan, True, base),
                  path_case(scenario, options.seconds, base),
                  limit_case(base_unsegmented, options.seconds),
                  path_case(unsegmented, options.seconds, base_unsegmented)]
    cases += [limit_case(loopback, options.seconds), router_case(options, plan, False, loopback)]
    return next(case.name for case in cases if case.name.startswith("router")), cases


def gallery(options: Options) -> Plan:
    """Scenario A."""
    scenario = Scenario("gallery", participants=50)
    return scenario_plan(options, bench_router.GALLERY, scenario, scenario)


def stage(options: Options) -> Plan:
    """Scenario B; N = 1,000 stands for it."""
    headline, cases = "", []
    for count in (100, 1000) if options.is_quick else (100, 1000, 3000):
        scenario = Scenario("stage", participants=count)
        first, more = scenario_plan(options, bench_router.stage(count), scenario, scenario)
        headline = first if count == 1000 else headline
        cases += more
    return headline, cases


def small(options: Options) -> Plan:
    """Scenario C."""
    scenario = Scenario("small")
    return scenario_plan(options, bench_router.SMALL, scenario, scenario)


def churn(options: Options) -> Plan:
    """Scenario D; its limit is that of A."""
    return scenario_plan(options, bench_router.CHURN, Scenario("churn", participants=50),
                         Scenario("gallery", participants=50))


def scale(options: Options) -> Plan:
    """One meeting over 1, 2, … workers, as fast as they take it."""
    if options.network != "private":
        raise SystemExit("scale needs a network namespace: run as root or allow user namespaces")
    cores = os.cpu_count() or 1
    counts = sorted({1, *(n for n in (2, 4, 8, 16, 32) if n < cores), cores})
    cases = []
    for workers in counts:
        case = path_case(Scenario("stage", participants=1000, workers=workers, rate="max"),
                         options.seconds)
        case.measure = with_speedup(case.measure, workers)
        cases.append(case)
    return cases[-1].name, cases


def with_speedup(measure, workers: int):
    """Sets packets a second against those of one worker in the same round."""
    def sample(shared: dict) -> dict:
        figures = measure(shared)
        if workers == 1:
            shared["one worker"] = figures["packets_per_second"]
        return figures | {"workers": workers,
                          "speedup": figures["packets_per_second"] / shared["one worker"]}
    return sample


def join(options: Options) -> Plan:
    """Joining: sign-in to media."""
    return alone([bench_router.join_case(options, count, ramp)
                  for count, ramp in ((50, 50), (200, 100))])


def peer_janus(options: Options) -> Plan:
    """Our router beside Janus; ours at the largest size stands for it."""
    cases = bench_janus.cases(options)
    return [case.name for case in cases if case.name.startswith("roundhouse")][-1], cases


PLANS = {
    "limit": lambda options: alone(bench_core.limit(options)),
    "micro": lambda options: alone(bench_core.micro(options)),
    "engine": lambda options: alone(bench_core.engine(options)),
    "fanout": lambda options: alone(bench_core.fanout(options)),
    "load-tool": lambda options: alone(bench_core.load_tool(options)),
    "gallery": gallery, "stage": stage, "small": small, "churn": churn, "scale": scale,
    "join": join,
    "soak": lambda options: alone([bench_router.soak_case(options)]),
    "memory": lambda options: alone(bench_memory.cases(options)),
    "peer-janus": peer_janus,
}
# What --profile looks into.
PROFILED = {"gallery": bench_router.GALLERY, "stage": bench_router.stage(1000),
            "small": bench_router.SMALL, "churn": bench_router.CHURN}
NEEDS_SERVER = {"gallery", "stage", "small", "churn", "join", "soak", "memory", "peer-janus"}
NEEDS_NETWORK = NEEDS_SERVER | {"limit", "scale", "load-tool"}
# In `all`: fanout is a part of engine, a soak takes an hour to mean anything, and the peer is only
# where it is installed.
ALL = [name for name in PLANS if name not in ("fanout", "soak", "peer-janus")]


def names_of_all() -> list[str]:
    """What `tools/bench all` runs here."""
    return ALL + (["peer-janus"] if shutil.which("janus") else [])

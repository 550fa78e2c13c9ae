"""Tests of the benchmarks' own logic: statistics, parsers, report, comparison.
SPDX-License-Identifier: Apache-2.0

A test is a function whose name begins with `test_`; it fails by an exception.
"""
import copy
import dataclasses
import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback
import unittest.mock
import xml.etree.ElementTree

import bench_callgrind
import bench_compare
import bench_core
import bench_machine
import bench_network
import bench_plans
import bench_profile
import bench_programs
import bench_report
import bench_result
import bench_server
import bench_stats
from bench_stats import Usage


def equal(found: object, expected: object) -> None:
    """Fails when two values differ."""
    if found != expected:
        raise AssertionError(f"{found!r}, expected {expected!r}")


def near(found: float | None, expected: float, share: float = 1e-9) -> None:
    """Fails when a figure is further than a share from what is expected."""
    if found is None or abs(found - expected) > share * abs(expected):
        raise AssertionError(f"{found!r}, expected about {expected!r}")


def fails(error: type[BaseException], call, *arguments: object) -> str:
    """Fails when a call does not raise; its words otherwise."""
    try:
        call(*arguments)
    except error as caught:
        return str(caught)
    raise AssertionError(f"{call} did not raise {error.__name__}")


# ---- statistics ------------------------------------------------------------------------------


def test_summary_has_median_least_and_most() -> None:
    found = bench_stats.summarise([{"loss": 0.0, "x": 3}, {"loss": 0.5, "x": 1}, {"x": 2}])
    equal((found["x"], found["x_min"], found["x_max"]), (2.0, 1.0, 3.0))
    equal((found["loss"], found["loss_min"], found["loss_max"]), (0.25, 0.0, 0.5))


def test_summary_has_every_agreed_key_even_without_a_value() -> None:
    found = bench_stats.summarise([{"x": 1}])
    for key in bench_stats.SUMMARY_KEYS:
        equal([found[key], found[f"{key}_min"], found[f"{key}_max"]], [None] * 3)


def test_figures_of_a_run() -> None:
    found = bench_stats.figures(1_000_000, Usage(1e8, 3e8, 2e9))
    near(found["packets_per_second"], 5e5)
    near(found["cores"], 0.2)
    near(found["cpu_ns_per_packet"], 400)
    near(found["cpu_system_ns_per_packet"], 300)
    near(found["packets_per_core_second"], 2.5e6)


def test_a_run_without_packets_is_no_figure() -> None:
    fails(ValueError, bench_stats.figures, 0, Usage(1, 1, 1))
    fails(ValueError, bench_stats.figures, 10, Usage(1, 1, 0))


def test_percentiles_of_power_of_two_buckets() -> None:
    buckets = [0] * 20
    equal(bench_stats.bucket_percentile(buckets, 0.5), None)
    buckets[4] = 100  # 16 to 32 us
    near(bench_stats.bucket_percentile(buckets, 0.5), 24)
    buckets[10] = 100  # 1024 to 2048 us
    near(bench_stats.bucket_percentile(buckets, 0.25), 24)
    near(bench_stats.bucket_percentile(buckets, 0.99), 1024 + 1024 * 0.98)
    near(bench_stats.bucket_percentile([0] * 19 + [5], 0.5), 2.0 ** 19)
    near(bench_stats.bucket_percentile([10, 0], 0.5), 1.0)


def test_differences_of_counters_and_lists() -> None:
    equal(bench_stats.difference({"a": 5, "b": [3, 4], "new": 2}, {"a": 2, "b": [1, 1]}),
          {"a": 3, "b": [2, 3], "new": 2})
    fails(ValueError, bench_stats.difference, {"b": [1]}, {"b": [1, 2]})


def test_sending_counts_packets_a_message() -> None:
    found = bench_stats.sending({"sent_packets": 100, "sent_messages": 20, "sent_bytes": 1000,
                                 "segmented_packets": 90, "padding_bytes": 50})
    equal(found, {"packets_per_message": 5.0, "segmented_share": 0.9, "padding_share": 0.05})
    equal(bench_stats.sending({}), {})


# ---- reading the machine -----------------------------------------------------------------------


def test_metrics_are_summed_over_labels() -> None:
    found = bench_machine.parse_metrics(
        "# TYPE a counter\na{worker=\"0\"} 3\na{worker=\"1\"} 4\nb 1.5e3\n"
        "h_bucket{worker=\"0\",le=\"0.1\"} 2\nh_bucket{worker=\"1\",le=\"0.1\"} 3\n"
        "h_bucket{le=\"+Inf\"} 9\nnonsense\n")
    equal(found, {"a": 7.0, "b": 1500.0, 'h_bucket{le="0.1"}': 5.0, 'h_bucket{le="+Inf"}': 9.0})


def test_latency_histogram_is_no_longer_cumulative() -> None:
    name = bench_server.HISTOGRAM
    metrics = {f'{name}{{le="{2 ** (i + 1) / 1e6:.9g}"}}': 10.0 * (i + 1) for i in range(19)}
    metrics[f'{name}{{le="+Inf"}}'] = 195.0
    equal(bench_server.histogram(metrics), [10.0] * 19 + [5.0])
    equal(bench_server.histogram({}), [])


def test_cpu_time_of_a_process_grows() -> None:
    before = bench_machine.process_usage(os.getpid())
    sum(i * i for i in range(2_000_000))
    after = bench_machine.process_usage(os.getpid())
    spent = after - before
    if not 0 < spent.cpu_ns <= spent.wall_ns * (os.cpu_count() or 1):
        raise AssertionError(f"{spent}")


def load_script(body: str) -> list[str]:
    """A command that stands where the load tool would and takes its --json option."""
    return [sys.executable, "-c", "import json, sys\n"
            "def phase(name): print('phase', name, file=sys.stderr, flush=True)\n" + body]


def with_server(command: list[str], on_phase=None) -> bench_server.Loaded:
    """Runs a command against a process that does nothing."""
    idle = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        return bench_server.Load(command, bench_server.Server(idle, "", False), on_phase).run()
    finally:
        bench_machine.end(idle)


def test_server_is_read_at_the_edges_of_the_window() -> None:
    seen: list[str] = []
    loaded = with_server(load_script(
        "phase('joining'); phase('measuring'); phase('done')\n"
        "open(sys.argv[sys.argv.index('--json') + 1], 'w').write('{\"loss\": 0}')"), seen.append)
    equal(seen, ["joining", "measuring", "done"])
    equal(loaded.report, {"loss": 0})
    if loaded.usage.wall_ns <= 0:
        raise AssertionError("no time between the edges")


def test_a_load_tool_without_phases_or_report_is_an_error() -> None:
    words = fails(SystemExit, with_server, load_script("print('cannot join', file=sys.stderr)"))
    equal("cannot join" in words, True)
    fails(SystemExit, with_server, load_script("phase('measuring'); phase('done')"))


# ---- callgrind ---------------------------------------------------------------------------------

GRAPH = """events: Ir
fl=(1) /src/Benchmarks/Engine/engine.c
fn=(1) main
10 5
cfi=(2) /src/CSources/CRouter/forward/receive.c
cfn=(2) rh_receive
calls=2 20
11 1000
cfi=(3) /src/CSources/CRouter/forward/forward.c
cfn=(3) rh_forward
calls=2 30
12 9000
cfi=(4) /src/CSources/CRouter/crypto/srtp.c
cfn=(4) rh_srtp_protect_rtp
calls=2 40
13 777
fl=(2)
fn=(2)
20 300
cfi=(4)
cfn=(5) rh_srtp_unprotect
calls=2 50
21 700
fl=(3)
fn=(3)
30 500
fi=(6) /src/CSources/CRouter/wire/bytes.h
31 500
cfi=(4)
cfn=(4)
calls=100 40
32 7000
fe=(3)
33 800
cfn=(6) decide
calls=100 60
34 200
"""


def graph(times: int) -> bench_callgrind.Graph:
    """The graph of a run that did everything in the loop so often."""
    found = bench_callgrind.parse(GRAPH)
    return bench_callgrind.Graph(
        [dataclasses.replace(call, instructions=call.instructions * times)
         for call in found.calls], {key: cost * times for key, cost in found.own.items()})


def test_callgrind_cost_is_split_into_engine_and_cipher() -> None:
    equal(bench_callgrind.engine_cost(bench_callgrind.parse(GRAPH).calls),
          {"all": 10_000, "cipher": 7700, "receive": 1000})


def test_callgrind_without_the_engine_is_an_error() -> None:
    fails(SystemExit, bench_callgrind.engine_cost,
          bench_callgrind.parse("fn=(1) main\n1 5\n").calls)


def test_instructions_a_packet_leave_out_what_happens_once() -> None:
    once = bench_callgrind.instructions(graph(1), graph(3), 200)
    equal(once, {"instructions_with_cipher": 100.0, "instructions_without_cipher": 23.0,
                 "instructions_receive_share": 10.0})


def test_profile_names_the_costliest_functions_of_the_engine() -> None:
    found = bench_callgrind.profile(graph(1), graph(3), 200)
    equal(found[0], {"instructions": 18.0, "function": "rh_forward", "file": "forward.c"})
    equal([row["function"] for row in found], ["rh_forward", "rh_receive"])


def test_rows_of_perf_are_read_and_threads_of_a_kind_are_one() -> None:
    found = bench_profile.parse(
        "# Overhead\tCommand\n12.50%\tworker-0\troundhouse\t[.] rh_forward\n"
        "2.50%\tworker-1\troundhouse\t[.] rh_forward\n"
        "1.20%\tNIO-1-#2\t[kernel.kallsyms]\t[k] udp_sendmsg\n\nnonsense\n")
    rows = bench_profile.as_rows(found, 0)
    equal([(row["share"], row["thread"], row["function"]) for row in rows],
          [("15.0 %", "worker", "rh_forward"), ("1.2 %", "NIO", "udp_sendmsg")])


# ---- programs and results ----------------------------------------------------------------------


def test_options_become_words() -> None:
    equal(bench_programs.options_of({"window_us": 5, "rate": None, "network": "sink"}),
          ["--window-us", "5", "--network", "sink"])


PATH_OUTPUT = {"packets": 1000, "expected": 1010, "cpu_user_ns": 3e5, "cpu_system_ns": 7e5,
               "wall_ns": 1e9, "sent_messages": 100, "segmented_packets": 900, "sent_bytes": 1e6,
               "padding_bytes": 1e4, "send_dropped": 10, "loop_lag_max_us": 7,
               "forward_latency": [0] * 5 + [1000] + [0] * 14}


def test_a_program_s_counters_become_a_sample() -> None:
    found = bench_core.figures_of(PATH_OUTPUT)
    near(found["cpu_ns_per_packet"], 1000)
    near(found["loss"], 20 / 1010)
    near(found["packets_per_message"], 10)
    near(found["added_delay_p50_us"], 48)
    ratio = bench_core.ratio(found, (800.0, 500.0))
    near(ratio["ratio_to_limit"], 1.25)
    near(ratio["ratio_to_limit_at_full_speed"], 2.0)
    equal(bench_core.ratio(found, None), {})


def test_packets_for_the_dropping_device_stay_in_the_private_network() -> None:
    outside = {k: v for k, v in os.environ.items() if k != bench_network.INSIDE}
    with unittest.mock.patch.dict(os.environ, outside, clear=True):
        fails(SystemExit, bench_core.Scenario("gallery").options, 1)
        equal(bench_core.Scenario("gallery", "loopback").options(1, "network"),
              {"seconds": 1, "network": "loopback"})
    with unittest.mock.patch.dict(os.environ, {bench_network.INSIDE: "1"}):
        equal(bench_core.Scenario("gallery").options(1), {"seconds": 1})


def result_of(key: str, value: float, cipher: str = "openssl") -> dict:
    """A result with one figure."""
    case = bench_result.Case("fanout", "about <it>", lambda _: {key: value, "cpu_ns_per_packet": 5},
                             {"cipher": cipher})
    bench_machine.say, old = (lambda *_: None), bench_machine.say
    try:
        bench_result.measure([case], 3, "self-test")
    finally:
        bench_machine.say = old
    return bench_result.result("engine", [case], "fanout", 3)


def test_result_has_what_was_agreed() -> None:
    found = json.loads(json.dumps(result_of("loss", 0.25)))
    for key in ("benchmark", "machine", "commit", "repetitions", "summary", "cases"):
        if not found[key]:
            raise AssertionError(f"no {key}")
    equal((found["summary"]["loss"], found["summary"]["loss_max"]), (0.25, 0.25))
    equal(len(found["cases"][0]["samples"]), 3)


def test_cases_of_a_round_share_what_they_found() -> None:
    seen = []
    cases = [bench_result.Case("a", "", lambda shared: shared.setdefault("x", {"loss": 0.0})),
             bench_result.Case("b", "", lambda shared: seen.append(dict(shared)) or {"loss": 1.0})]
    bench_machine.say, old = (lambda *_: None), bench_machine.say
    try:
        bench_result.measure(cases, 2, "self-test")
    finally:
        bench_machine.say = old
    equal(seen, [{"x": {"loss": 0.0}}] * 2)


def test_every_benchmark_has_a_plan() -> None:
    wanted = {"limit", "micro", "engine", "fanout", "gallery", "stage", "small", "churn", "scale",
              "join", "soak", "load-tool", "memory", "peer-janus"}
    equal(set(bench_plans.PLANS), wanted)
    equal(bench_plans.NEEDS_NETWORK <= wanted, True)


# ---- comparison --------------------------------------------------------------------------------


def compared(new: dict, old: dict) -> tuple[str, int]:
    """What the comparison says."""
    lines, failures = bench_compare.compare([new], [bench_compare.slim(old)])
    return "\n".join(lines), failures


def test_more_instructions_are_a_regression() -> None:
    old = result_of("instructions_without_cipher", 350)
    equal(compared(result_of("instructions_without_cipher", 358), old)[1], 1)
    equal(compared(result_of("instructions_without_cipher", 356), old)[1], 0)
    words, failures = compared(result_of("instructions_without_cipher", 300), old)
    equal((failures, "better" in words), (0, True))


def test_bytes_may_hardly_grow_and_allocations_not_at_all() -> None:
    for key, fine, much in (("subscription_bytes", 104, 106), ("parse_allocations", 100, 101)):
        equal(compared(result_of(key, much), result_of(key, 100))[1], 1)
        equal(compared(result_of(key, fine), result_of(key, 100))[1], 0)
    equal(compared(result_of("parse_allocations", 1), result_of("parse_allocations", 0))[1], 1)
    equal(compared(result_of("resident_peak_bytes", 999), result_of("resident_peak_bytes", 9))[1],
          0)


def test_times_are_shown_and_never_judged() -> None:
    words, failures = compared(result_of("ratio_to_limit", 9), result_of("ratio_to_limit", 1))
    equal((failures, "shown" in words), (0, True))


def test_cipher_instructions_need_the_same_cipher() -> None:
    key = "instructions_with_cipher"
    words, failures = compared(result_of(key, 9000, "ipsec-mb"), result_of(key, 900))
    equal((failures, "skipped" in words), (0, True))


def test_a_judged_figure_that_vanished_is_a_regression() -> None:
    old = result_of("instructions_without_cipher", 350)
    equal(compared(result_of("loss", 0), old)[1], 1)
    new = copy.deepcopy(old)
    new["cases"][0]["name"] = "other"
    equal(compared(new, old)[1], 1)


def test_an_unknown_benchmark_is_no_regression() -> None:
    new = {**result_of("loss", 0), "benchmark": "new"}
    equal(compared(new, result_of("loss", 0))[1], 0)


def test_baseline_keeps_other_benchmarks() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "baseline.json"
        bench_compare.store([result_of("loss", 0)], path)
        bench_compare.store([{**result_of("loss", 1), "benchmark": "limit"}], path)
        bench_compare.store([result_of("loss", 2)], path)
        found = bench_compare.read([path])
        equal([(r["benchmark"], r["summary"]["loss"]) for r in found],
              [("engine", 2.0), ("limit", 1.0)])
        equal("samples" in found[0]["cases"][0], False)
        path.write_text("[]")
        fails(SystemExit, bench_compare.read, [path])
        path.write_text("{")
        fails(SystemExit, bench_compare.read, [path])


# ---- report ------------------------------------------------------------------------------------


class Balance(html.parser.HTMLParser):
    """Checks that elements which have an end have it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        """Opens; a meta element has no end."""
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        """An element that ends where it begins."""

    def handle_endtag(self, tag) -> None:
        """Closes what was opened last."""
        equal(self.open.pop(), tag)

    def handle_data(self, data) -> None:
        """Keeps the words."""
        self.texts.append(data)


def gallery_result(cores: float) -> dict:
    """A result with everything that has a plot."""
    sample = {"cores": cores, "cpu_ns_per_packet": 900.0, "cpu_user_ns_per_packet": 300.0,
              "added_delay_p50_us": 40.0, "added_delay_p90_us": 90.0,
              "added_delay_p99_us": 5000.0, "added_delay_p999_us": 9000.0, "odd_figure": 3}
    case = bench_result.Case("router-gallery-sink", "a & b", None, samples=[sample, sample],
                             notes=["say <this>"])
    return bench_result.result("gallery", [case], case.name, 2)


def test_page_is_whole_and_escapes_text() -> None:
    page = bench_report.page([gallery_result(0.2), result_of("loss", 0)])
    parser = Balance()
    parser.feed(page)
    parser.close()
    equal(parser.open, [])
    text = " ".join(parser.texts)
    for words in ("a & b", "say <this>", "odd_figure", "router-gallery-sink"):
        if words not in text:
            raise AssertionError(f"not in the page: {words}")
    equal(bool(re.search(r"(?:src|href)\s*=", page)), False)


def test_plots_are_xml() -> None:
    plots = re.findall(r"<svg.*?</svg>", bench_report.page([gallery_result(0.2)]), re.S)
    equal(len(plots), 2)
    for plot in plots:
        root = xml.etree.ElementTree.fromstring(plot)
        for element in root.iter():
            for key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width"):
                if float(element.get(key, 0)) < 0:
                    raise AssertionError(f"{element.tag} {key} {element.get(key)}")


def test_goals_are_met_missed_or_not_measured() -> None:
    def first(results: list[dict]) -> bool | None:
        return bench_report.goal_rows(results)[0][3]
    equal([first([gallery_result(0.2)]), first([gallery_result(0.3)]), first([])],
          [True, False, None])


def test_every_goal_names_a_benchmark() -> None:
    for goal in bench_report.GOALS:
        equal(goal.benchmark in bench_plans.PLANS, True)
        equal(goal.most is None and goal.least is None, False)


def test_axis_has_round_steps() -> None:
    for most in (0.0, 0.013, 1, 7, 99, 100, 1234, 5e6):
        top, step = bench_report.scale_of(most)
        if not (top >= most and 2 <= round(top / step) <= 11):
            raise AssertionError(f"{most}: {top}, {step}")


def main() -> int:
    """Runs every test."""
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            passed += 1
        except (Exception, SystemExit):
            failed += 1
            print(f"{name} failed\n{traceback.format_exc()}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0

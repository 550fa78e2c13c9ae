"""Benchmarks of the C core: limit, micro, engine, and the path with its sockets.
SPDX-License-Identifier: Apache-2.0
"""
import dataclasses
import os
import pathlib
import tempfile

import bench_callgrind
import bench_network
import bench_programs
import bench_stats
from bench_result import Case, Options
from bench_stats import Sample, Usage

PLAYER_LATE_MAX_US = 20_000
ABOUT = {
    "gallery": "A: 50 participants, each with audio and a thumbnail to all others, in real time",
    "stage": "B: one publisher, 30 frames/s of 10 packets of 1100 B, to {participants}",
    "small": "C: 200 meetings of 4",
    "churn": "D: A, while all 50 remap all their subscriptions every 2 s",
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What `limit` and `path` are asked to do. None: the program's own default."""
    name: str
    network: str = "sink"
    participants: int | None = None
    segmentation: str | None = None
    workers: int | None = None
    rate: str | None = None

    @property
    def label(self) -> str:
        """For the case's name."""
        parts = [self.name, self.participants, self.network,
                 {"off": "unsegmented"}.get(self.segmentation or ""), self.rate,
                 self.workers and f"{self.workers}-workers"]
        return "-".join(str(part) for part in parts if part)

    @property
    def about(self) -> str:
        """For people."""
        return ABOUT[self.name].format(participants=self.participants or "all")

    def options(self, seconds: float, *keys: str) -> dict[str, object]:
        """As options of a program. Packets for the sink leave this machine where there is none."""
        if self.network == "sink" and os.environ.get(bench_network.INSIDE) != "1":
            raise SystemExit("the dropping device is there in the private network only")
        fields = dataclasses.asdict(self)
        return {"seconds": seconds, **{key: fields[key] for key in keys}}


def figures_of(found: dict) -> Sample:
    """A sample from the counters that `limit` and `path` print."""
    usage = Usage(found["cpu_user_ns"], found["cpu_system_ns"], found["wall_ns"])
    sample = bench_stats.figures(found["packets"], usage)
    sample |= bench_stats.sending({
        **found, "sent_packets": found["packets"],
        "sent_messages": found.get("sent_messages", found.get("messages", 0)),
        "sent_bytes": found.get("sent_bytes", found.get("bytes", 0))})
    if found.get("expected"):
        lost = found["expected"] - found["packets"] + found.get("send_dropped", 0)
        sample["loss"] = max(0.0, lost / found["expected"])
    if "forward_latency" in found:
        sample |= bench_stats.bucket_delays(found["forward_latency"], "added_delay")
    if "loop_lag_max_us" in found:
        sample["loop_lag_max_us"] = found["loop_lag_max_us"]
    return sample


def keep(case: Case, found: dict, *keys: str) -> None:
    """Takes what a program found out about itself over into the case's parameters."""
    case.parameters |= {key: found[key] for key in keys if key in found}


def limit_case(scenario: Scenario, seconds: float) -> Case:
    """The sends and cipher calls of a scenario with no router, at the scenario's own times and
    once more without waiting. Both costs a packet are left in the round's dictionary, for the ratio
    of the cases after it."""
    program = bench_programs.build("limit")

    def run(rate: str) -> tuple[dict, Sample]:
        options = scenario.options(seconds, "network", "participants", "segmentation")
        found = bench_programs.run(program, [scenario.name], {**options, "rate": rate})
        return found, figures_of(found)

    def sample(shared: dict) -> Sample:
        found, figures = run("realtime")
        _, full_speed = run("max")
        keep(case, found, "cipher", "segmentation", "participants")
        costs = (figures["cpu_ns_per_packet"], full_speed["cpu_ns_per_packet"])
        shared["limit", scenario] = costs
        return figures | {"ratio_to_limit": 1.0, "full_speed_ns_per_packet": costs[1],
                          "full_speed_packets_per_core_second": 1e9 / costs[1]}

    case = Case(f"limit-{scenario.label}", f"sends and cipher only; {scenario.about}", sample)
    return case


def path_case(scenario: Scenario, seconds: float, limit: Scenario | None = None) -> Case:
    """A scenario through real workers and their sockets into the dropping device, no Swift, set
    against a limit case that was measured before it in the same round."""
    program = bench_programs.build("path")

    def sample(shared: dict) -> Sample:
        found = bench_programs.run(
            program, [scenario.name],
            scenario.options(seconds, "participants", "segmentation", "workers", "rate"))
        keep(case, found, "cipher", "segmentation_refused", "participants", "meetings", "workers")
        late = found.get("player_late_max_us", 0)
        if late > PLAYER_LATE_MAX_US:
            case.note(f"the publishers' thread was late by {late / 1000:.0f} ms once: what it then "
                      "sent in one go shows in delay and loss")
        figures = figures_of(found)
        return figures | ratio(figures, shared.get(("limit", limit)))

    case = Case(f"path-{scenario.label}",
                f"worker and sockets into the dropping device, no signalling; {scenario.about}",
                sample)
    return case


def ratio(figures: Sample, limit: tuple[float, float] | None) -> Sample:
    """Cost a packet against the limit's at the same times and at full speed, when there is one."""
    each = figures["cpu_ns_per_packet"]
    return {} if limit is None else {
        "limit_ns_per_packet": limit[0], "ratio_to_limit": each / limit[0],
        "ratio_to_limit_at_full_speed": each / limit[1]}


def limit(options: Options) -> list[Case]:
    """The limit of each scenario and way of sending, and the plain calls."""
    networks = ["sink", "loopback"] if options.network == "private" else ["loopback"]
    scenarios = [Scenario(name, network, participants, segmentation)
                 for network in networks
                 for name, participants in (("gallery", 50), ("stage", 1000))
                 for segmentation in ("on", "off")]
    return [*(limit_case(each, options.seconds) for each in scenarios),
            rows_case("limit", f"send --network {networks[0]}",
                      "one kernel message, by size and segments"),
            rows_case("limit", "cipher", "one packet's cipher, by size")]


def rows_case(name: str, words: str, about: str) -> Case:
    """A program that prints rows of its own; each repetition's figures are kept as samples."""
    program = bench_programs.build(name)

    def sample(_: dict) -> Sample:
        found = bench_programs.run(program, words.split())
        keep(case, found, "cipher")
        figures: Sample = {}
        for row in found["rows"]:
            label = "_".join(str(row[key]) for key in ("name", "packet_bytes", "segments")
                             if row.get(key) is not None).replace(" ", "_")
            for key in ("ns_per_packet_median", "ns_median"):
                if key in row:
                    figures[f"{label}_ns"] = row[key]
            if "allocations" in row:
                figures[f"{label}_allocations"] = row["allocations"]
        return figures

    case = Case("-".join([name, *words.split()[:1]]), about, sample)
    return case


def load_tool(options: Options) -> list[Case]:
    """What the load tool itself spends on a received packet."""
    program = bench_programs.build("load-receive")

    def case(interval: int, about: str) -> Case:
        def sample(_: dict) -> Sample:
            seconds = max(1, round(options.seconds))
            found = bench_programs.run(program, ["50", str(seconds), str(interval)])
            return {"packets_per_second": found["packets_per_second"], "cores": found["cores"],
                    "cpu_ns_per_packet": found["cpu_ns_per_packet"],
                    "packets_per_core_second": 1e9 / found["cpu_ns_per_packet"],
                    "packets_per_message": found["packets_per_message"],
                    "loss": found["lost"] / found["sent"],
                    "added_delay_p99_us": found["delay_p99_us"],
                    "tick_lag_p99_us": found["tick_lag_p99_us"]}

        return Case(f"decrypt-{interval}", f"the load tool receives A; {about}", sample)

    return [case(0, "headers only"), case(16, "one packet of 16 is opened"),
            case(1, "every packet is opened")]


def micro(_: Options) -> list[Case]:
    """Single calls."""
    return [rows_case("micro", "", "ns and allocations a call")]


def engine_case(program: pathlib.Path, name: str, words: list[str], about: str,
                packets: int) -> Case:
    """A program that passes packets through the engine. words hold PACKETS where the number of
    received packets stands; instructions are counted once, for they do not vary."""
    counted: Sample = {}

    def command(count: int) -> list[str]:
        return [word.replace("PACKETS", str(count)) for word in words]

    def count() -> Sample:
        with tempfile.TemporaryDirectory() as folder:
            runs = [bench_callgrind.run([str(program), *command(times * packets)],
                                        pathlib.Path(folder) / f"callgrind.{times}")
                    for times in (1, 3)]
        short, long = (bench_programs.run(program, command(times * packets))["forwarded"]
                       for times in (1, 3))
        case.parameters["rows"] = bench_callgrind.profile(*runs, long - short)
        return bench_callgrind.instructions(*runs, long - short)

    def sample(_: dict) -> Sample:
        if not counted:
            counted.update(count())
        found = bench_programs.run(program, command(40 * packets))
        keep(case, found, "cipher", "subscribers", "participants", "payload_bytes")
        each = found["cpu_ns_per_packet"]
        return {"cpu_ns_per_packet": each, "packets_per_core_second": 1e9 / each, **counted}

    case = Case(name, about, sample)
    return case


def fanout_case(feedback: str) -> Case:
    """One publisher to 50. feedback on: subscribers send NACKs and estimates."""
    words = ["fanout", "--packets", "PACKETS", "--participants", "50", "--packet-bytes", "1124",
             "--nack", feedback, "--estimation", feedback]
    is_on = feedback == "on"
    return engine_case(
        bench_programs.build("engine"), "fanout-feedback" if is_on else "fanout", words,
        "1 to 50, packets of 1124 bytes, through the engine without sockets"
        + ("; NACKs and bandwidth estimation on" if is_on else ""), 100)


def fanout(_: Options) -> list[Case]:
    """One publisher to 50 without sockets."""
    return [fanout_case("off")]


def engine(options: Options) -> list[Case]:
    """One to N and the gallery without sockets."""
    program = bench_programs.build("engine")
    plain, feedback = fanout(options)[0], fanout_case("on")
    feedback.measure = against(feedback.measure, plain)
    return [plain, feedback,
            engine_case(program, "gallery", ["gallery", "--packets", "PACKETS"],
                        "A through the engine without sockets", 500),
            engine_case(program, "stage-1000",
                        ["fanout", "--participants", "1000", "--packets", "PACKETS",
                         "--packet-bytes", "1124"],
                        "1 to 1,000 through the engine without sockets", 20)]


def against(measure, plain: Case):
    """Adds what the instructions are as a multiple of another case's."""
    def sample(shared: dict) -> Sample:
        figures = measure(shared)
        base = plain.samples[-1]["instructions_without_cipher"]
        return figures | {"times_plain": figures["instructions_without_cipher"] / base}
    return sample

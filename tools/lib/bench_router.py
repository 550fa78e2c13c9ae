"""Benchmarks of the whole router: signalling, ICE, DTLS, feedback, everything.
SPDX-License-Identifier: Apache-2.0

Two ways of measuring the same scenario:
  loopback  server and load tool on this machine's loopback. The receivers' kernel work is charged
            to the sender, so it shows more than a network card would; loss and delay are real
  sink      the participants join over a pair of devices into another namespace; for the measured
            window the route of the media to them is turned into the dropping device. CPU is that
            of a machine with a card; what they send keeps arriving
"""
import contextlib
import dataclasses

import bench_network
import bench_server
import bench_stats
from bench_core import Scenario, limit_case, ratio
from bench_result import Case, Options
from bench_server import Load, Loaded, Place, Server
from bench_stats import Sample


@dataclasses.dataclass(frozen=True)
class Meetings:
    """A scenario as the load tool makes it.

    publishers  of each meeting; None: all
    media       what publishers send: the load tool's "gallery" (audio and thumbnails) or "stage"
    churn       seconds between remaps of all subscriptions; None: none
    """
    name: str
    about: str
    meetings: int = 1
    participants: int = 50
    publishers: int | None = None
    feeds: int = 49
    media: str = "gallery"
    churn: float | None = None
    ramp: float = 50


GALLERY = Meetings("gallery", "A: 50 participants, each with audio and a thumbnail to all others")
SMALL = Meetings("small", "C: 200 meetings of 4", meetings=200, participants=4, feeds=3, ramp=100)
CHURN = dataclasses.replace(
    GALLERY, name="churn", about="D: A, while all 50 remap all their subscriptions every 2 s",
    churn=2.0)


def stage(count: int) -> Meetings:
    """One publisher, so many subscribers."""
    return Meetings(f"stage-{count}", f"B: one publisher, 30 frames/s of 10 packets of 1100 B, to "
                    f"{count:,}", participants=count + 1, publishers=1, feeds=1, ramp=40,
                    media="stage")


def load_command(options: Options, plan: Meetings, server: Server, place: Place) -> list[str]:
    """The load tool's command line."""
    words = [*place.client_words, options.server, "load", "--url", server.url,
             "--meetings", str(plan.meetings), "--participants", str(plan.participants),
             "--feeds", str(plan.feeds), "--media", plan.media, "--ramp", str(plan.ramp),
             "--duration", str(max(options.seconds, 2.5 * (plan.churn or 0))),
             "--server-pid", str(server.process.pid), "--settle", "20",
             "--accounts", str(options.folder / "accounts.json"), "--insecure"]
    if plan.publishers is not None:
        words += ["--publishers", str(plan.publishers)]
    if plan.churn is not None:
        words += ["--churn", str(plan.churn)]
    return words


def server_settings(workers: int | None, segmentation: str | None = None) -> list[str]:
    """Settings of a server under load: joins come from one address, so its limits are raised."""
    words = ["--log-level", "error", "--sign-ins-per-address", "100000",
             "--sockets-per-address", "100000"]
    if workers:
        words += ["--workers", str(workers)]
    if segmentation:
        words += ["--segmentation", segmentation]
    return words


def run(options: Options, plan: Meetings, is_sunk: bool, *settings: str, watch=None) -> Loaded:
    """One run of a fresh server under the load.

    watch  has `start(pid)` and `stop()`, called around the measured window; None: nobody watches
    """
    with contextlib.ExitStack() as stack:
        on_phase, words = {}, ()
        if is_sunk:
            clients = stack.enter_context(bench_network.Clients())
            words = tuple(clients.words)
            on_phase = {"measuring": clients.drop, "done": clients.deliver}
        place = bench_server.place_of(options.network, words)
        server = stack.enter_context(bench_server.roundhouse(options, place, *settings))
        command = load_command(options, plan, server, place)

        def see(phase: str) -> None:
            on_phase.get(phase, int)()
            if watch and phase == "measuring":
                watch.start(server.process.pid)
            elif watch and phase == "done":
                watch.stop()

        return Load(command, server, see).run()


def client_figures(report: dict) -> Sample:
    """What the participants saw."""
    sample: Sample = {"loss": report["loss"]}
    if report["one_way_us"]["count"]:
        for key in bench_stats.PERCENTILES:
            sample[f"added_delay_{key}_us"] = report["one_way_us"][key]
    for name in ("join", "first_packet", "first_frame"):
        if report[f"{name}_ms"]["count"]:
            for key in ("p50", "p99"):
                sample[f"{name}_{key}_ms"] = report[f"{name}_ms"][key]
    return sample


def router_case(options: Options, plan: Meetings, is_sunk: bool, limit: Scenario | None,
                *settings: str) -> Case:
    """A scenario through the whole router."""
    def sample(shared: dict) -> Sample:
        loaded = run(options, plan, is_sunk, *server_settings(None), *settings)
        figures = bench_server.server_figures(loaded)
        if is_sunk:
            figures |= sunk_figures(plan, loaded, figures)
        else:
            figures |= client_figures(loaded.report)
        remark(case, loaded.report)
        return figures | ratio(figures, shared.get(("limit", limit)))

    way = "sink" if is_sunk else "loopback"
    case = Case("-".join(["router", plan.name, way, *settings[1::2]]),
                f"the whole router, {way}; {plan.about}", sample, dataclasses.asdict(plan))
    return case


def remark(case: Case, report: dict) -> None:
    """Says when the load tool does not stand behind its figures, and who is missing in them."""
    if not report["valid"]:
        case.note("the load tool was itself the bottleneck: "
                  + "; ".join(report["invalid_reasons"]))
    feeds, failures = report["feeds"], report["join_ms"]["failures"]
    if feeds["bound"] < feeds["wanted"] or failures:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in failures.items())
        case.note(f"{feeds['bound']} of {feeds['wanted']} feeds were there; joins that failed: "
                  f"{reasons or 'none'}")


def sunk_figures(plan: Meetings, loaded: Loaded, figures: Sample) -> Sample:
    """Loss and delay where the packets end in the dropping device: from the server's counters. A
    packet lost on the way in is lost for each of its subscribers. forwarded_share sets the server's
    count against the load tool's; their windows differ by some milliseconds."""
    counters = loaded.counters
    forwarded = bench_server.counter(counters, "forwarded_packets")
    copies = plan.participants - 1
    lost = bench_server.counter(counters, "send_dropped_packets") + copies * sum(
        bench_server.counter(counters, name)
        for name in ("kernel_dropped_packets", "dropped_packets"))
    return {"loss": lost / (forwarded + lost),
            "forwarded_share": forwarded / (loaded.report["packets"]["sent"] * copies),
            **{key.replace("forward", "added_delay"): value for key, value in figures.items()
               if key.startswith("forward_p")}}


def join_case(options: Options, count: int, ramp: float) -> Case:
    """So many participants join one meeting, so many a second; each subscribes to what there is."""
    plan = dataclasses.replace(GALLERY, name=f"join-{count}", about=f"{count} join one meeting",
                               participants=count, publishers=min(count, 10), feeds=9, ramp=ramp)

    def sample(_: dict) -> Sample:
        loaded = run(options, plan, False, *server_settings(None))
        figures = client_figures(loaded.report)
        spent = loaded.before.usage - loaded.joining.usage
        joins = loaded.report["join_ms"]["count"]
        figures |= {"server_cpu_ms_per_join": spent.cpu_ns / 1e6 / joins,
                    "joins_failed": loaded.report["join_ms"]["failed"]}
        figures.pop("loss")
        return figures

    case = Case(f"join-{count}-at-{ramp:g}-a-second",
                f"{count} participants, 10 of them with cameras, join at {ramp:g} a second; the "
                "server's CPU a join includes the media until all have them",
                sample, dataclasses.asdict(plan))
    return case


def soak_case(options: Options) -> Case:
    """Half of A's packets while everybody remaps, for as long as --seconds says."""
    plan = dataclasses.replace(
        CHURN, name="soak", participants=35, feeds=34,
        about="half of A's packets (35 participants), all remap all subscriptions every 2 s")

    def sample(_: dict) -> Sample:
        loaded = run(options, plan, False, *server_settings(None))
        remark(case, loaded.report)
        sizes = [point["server_rss_bytes"] for point in loaded.report["series"]
                 if point["measured"] and point.get("server_rss_bytes")]
        lag = loaded.after.metrics["roundhouse_media_loop_lag_max_seconds"]
        return (bench_server.server_figures(loaded) | client_figures(loaded.report) | {
            "window_s": loaded.report["window_s"], "loop_lag_max_ms": lag * 1000,
            "remaps": loaded.report["feeds"]["remaps"],
            "resident_begin_bytes": loaded.before.resident_bytes,
            "resident_middle_bytes": sizes[len(sizes) // 2] if sizes else None,
            "resident_max_bytes": max(sizes, default=None)})

    case = Case("soak", f"the whole router, loopback; {plan.about}", sample,
                dataclasses.asdict(plan))
    return case

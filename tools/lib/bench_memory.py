"""Memory of the router. SPDX-License-Identifier: Apache-2.0

bytes    a participant's and a subscription's state in the C core, from the sizes of its structures
rss      resident memory of a whole server before, during and after meetings; further rounds of
         the same meetings show whether what the first did not give back is used again
"""
import time

import bench_programs
import bench_router
import bench_server
from bench_result import Case, Options
from bench_server import Load, Server
from bench_stats import Sample

EMPTY_SECONDS_MAX = 30
ROUNDS = 3
# Packet buffers are no part: a worker holds some to receive into.
GAUGES = ("peers", "tracks", "slots")


def cases(options: Options) -> list[Case]:
    """Both ways."""
    return [bytes_case(), rss_case(options)]


def bytes_case() -> Case:
    """Sizes of the C core's state."""
    program = bench_programs.build("path")

    def sample(_: dict) -> Sample:
        found = bench_programs.run(program, ["memory"], {"participants": 50})
        return {key: found[key] for key in found if key.endswith("_bytes")}

    return Case("bytes", "state of the C core by its structures' sizes", sample)


def in_use(server: Server) -> dict[str, float]:
    """What the media plane holds."""
    metrics = server.read().metrics
    return {name: metrics.get(f"roundhouse_media_{name}", 0.0) for name in GAUGES}


def await_empty(server: Server) -> dict[str, float]:
    """Returns when nobody is there any more, or after half a minute; what is still held."""
    end = time.monotonic() + EMPTY_SECONDS_MAX
    while True:
        held = in_use(server)
        if not any(held.values()) or time.monotonic() > end:
            return held
        time.sleep(0.25)


def rss_case(options: Options) -> Case:
    """Scenario A on one server, several times."""
    plan = bench_router.GALLERY

    def sample(_: dict) -> Sample:
        place = bench_server.place_of(options.network)
        settings = [*bench_router.server_settings(None), "--empty-meeting-timeout", "1"]
        with bench_server.roundhouse(options, place, *settings) as server:
            command = bench_router.load_command(options, plan, server, place)
            start = server.read().resident_bytes
            peaks, after, held = [], [], dict.fromkeys(GAUGES, 0.0)
            for _ in range(ROUNDS):
                peaks.append(Load(command, server).run().after.resident_bytes)
                held = {key: value + held[key] for key, value in await_empty(server).items()}
                after.append(server.read().resident_bytes)
        return {"resident_start_bytes": start, "resident_peak_bytes": max(peaks),
                **{f"resident_after_{i}_bytes": size for i, size in enumerate(after, 1)},
                "resident_bytes_per_participant": (peaks[0] - start) / plan.participants,
                **{f"held_{name}": value for name, value in held.items()}}

    return Case("rss", f"resident memory of a server; {plan.about}, {ROUNDS} times on one server",
                sample)

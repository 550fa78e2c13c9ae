"""Memory of the router. SPDX-License-Identifier: Apache-2.0

bytes    a participant's and a subscription's state in the C core, from the sizes of its structures
rss      resident memory of a whole server before, during and after meetings; a second round of the
         same meetings shows what the first did not give back
"""
import time

import bench_programs
import bench_router
import bench_server
from bench_result import Case, Options
from bench_server import Load, Server
from bench_stats import Sample

EMPTY_SECONDS_MAX = 60
GAUGES = ("peers", "tracks", "slots", "buffers")


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
    """Returns when nobody is there any more, or after a minute; what is still held."""
    end = time.monotonic() + EMPTY_SECONDS_MAX
    while True:
        held = in_use(server)
        if not any(held.values()) or time.monotonic() > end:
            return held
        time.sleep(0.25)


def rss_case(options: Options) -> Case:
    """Scenario A on a fresh server, twice."""
    plan = bench_router.GALLERY

    def sample(_: dict) -> Sample:
        place = bench_server.place_of(options.network)
        settings = [*bench_router.server_settings(None), "--empty-meeting-timeout", "1"]
        with bench_server.roundhouse(options, place, *settings) as server:
            command = bench_router.load_command(options, plan, server, place)
            start = server.read().resident_bytes
            loaded = Load(command, server).run()
            held = await_empty(server)
            after_first = server.read().resident_bytes
            Load(command, server).run()
            held = {key: value + held[key] for key, value in await_empty(server).items()}
            after_second = server.read().resident_bytes
        peak = loaded.after.resident_bytes
        return {"resident_start_bytes": start, "resident_peak_bytes": peak,
                "resident_after_first_bytes": after_first,
                "resident_after_second_bytes": after_second,
                "resident_bytes_per_participant": (peak - start) / plan.participants,
                **{f"held_{name}": value for name, value in held.items()}}

    return Case("rss", f"resident memory of a server; {plan.about}, twice", sample)

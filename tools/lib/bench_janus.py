"""Janus' videoroom as the peer of our benchmarks. SPDX-License-Identifier: Apache-2.0

What Janus 1.1.2 needs for a fair run on one machine:
- It ignores loopback interfaces when it gathers candidates, so it needs an address on another one:
  the private network of the benchmarks has one (bench_machine.ADDRESS); nat.ice_enforce_list.
- ice_lite: the load tool is then the controlling side and sends the checks, as with our own node.
- full_trickle = false: the answer carries every candidate.
- event_loops: a loop a core instead of a thread a participant, its faster mode.
- Rooms without recording, without periodic FIR, without a bitrate limit, with many publishers.
- Plugins, transports, event handlers and loggers that are not used are switched off.
"""
import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import bench_machine
import bench_network
import bench_router
import bench_server
import bench_stats
from bench_core import Scenario, limit_case, ratio
from bench_result import Case, Options
from bench_router import Meetings
from bench_server import Load, Loaded, Place, Server
from bench_stats import Sample

PLUGINS = pathlib.Path("/usr/lib/x86_64-linux-gnu/janus/plugins")
INSTALL = "apt-get install --no-install-recommends janus"

CORE = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{library}/plugins"
    transports_folder = "{library}/transports"
    events_folder = "{library}/events"
    loggers_folder = "{library}/loggers"
    log_to_stdout = true
    debug_level = 3
    debug_colors = false
    event_loops = {loops}
    session_timeout = 0
    candidates_timeout = 30
}}
media: {{
    rtp_port_range = "20000-60000"
    no_media_timer = 0
    slowlink_threshold = 0
}}
nat: {{
    ice_lite = true
    full_trickle = false
    ice_enforce_list = "{address}"
    ipv6 = false
}}
plugins: {{ disable = "{unused_plugins}" }}
transports: {{ disable = "{unused_transports}" }}
"""

SOCKET = """
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "{address}", wss = false }}
admin: {{ admin_ws = false }}
"""

ROOM = """
room-{number}: {{
    description = "{number}"
    is_private = true
    publishers = {publishers}
    bitrate = 0
    fir_freq = 0
    audiocodec = "opus"
    videocodec = "vp8"
    record = false
    notify_joining = false
    audiolevel_event = false
    playoutdelay_ext = false
    transport_wide_cc_ext = {feedback}
}}
"""


def program() -> str:
    """Where Janus is; ends the run with what to install when it is not."""
    found = shutil.which("janus")
    if not found:
        raise SystemExit(f"janus is not installed; on Debian 12: {INSTALL}")
    return found


def version(janus: str) -> str:
    """What `janus --version` says."""
    done = subprocess.run([janus, "--version"], capture_output=True, text=True, timeout=10)
    return (done.stdout + done.stderr).strip()


def unused(folder: pathlib.Path, wanted: str) -> str:
    """The modules of a folder but one, as Janus' settings list them."""
    return ",".join(sorted(p.name for p in folder.glob("*.so") if wanted not in p.name))


def write_config(folder: pathlib.Path, address: str, port: int, rooms: int,
                 publishers: int) -> None:
    """Writes a configuration with rooms 1, 2, … for so many publishers each."""
    library = PLUGINS.parent
    (folder / "janus.jcfg").write_text(CORE.format(
        folder=folder, library=library, address=address, loops=os.cpu_count(),
        unused_plugins=unused(library / "plugins", "videoroom"),
        unused_transports=unused(library / "transports", "websockets")))
    (folder / "janus.transport.websockets.jcfg").write_text(
        SOCKET.format(port=port, address=address))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { events = false }\n" + "".join(
        ROOM.format(number=number, publishers=publishers, feedback="true")
        for number in range(1, rooms + 1)))


def command(janus: str, folder: pathlib.Path) -> list[str]:
    """The command line that runs Janus in the foreground."""
    return [janus, "--configs-folder", str(folder), "--config", str(folder / "janus.jcfg")]


@contextlib.contextmanager
def running(rooms: int, publishers: int):
    """Runs Janus in the private network with a configuration of its own."""
    janus, address = program(), bench_network.ADDRESS
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        port = bench_server.free_port(address)
        write_config(folder, address, port, rooms, publishers)
        with bench_machine.running(command(janus, folder), folder / "log") as process:
            await_port(process, address, port, folder / "log")
            yield Server(process, f"http://{address}:{port}", False)


def await_port(process: subprocess.Popen, address: str, port: int, log: pathlib.Path) -> None:
    """Returns when Janus takes connections."""
    end = time.monotonic() + 10
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"Janus does not answer:\n{log.read_text()[-2000:]}")


def received_figures(loaded: Loaded) -> Sample:
    """A sample from what the participants received: the same measure for both servers."""
    figures = bench_stats.figures(loaded.report["packets"]["received"], loaded.usage)
    return figures | bench_router.client_figures(loaded.report) | {
        "resident_bytes": loaded.after.resident_bytes}


def gallery(participants: int) -> Meetings:
    """Scenario A in small: Janus does not reach 50."""
    return dataclasses.replace(
        bench_router.GALLERY, name=f"gallery-{participants}", participants=participants,
        about=f"{participants} participants, each with audio and a thumbnail to all others")


def limit_of(plan: Meetings) -> Scenario:
    """The limit that both are set against."""
    return Scenario("gallery", "loopback", plan.participants)


def our_case(options: Options, plan: Meetings) -> Case:
    """Our router under a load that Janus carries, too."""
    def sample(shared: dict) -> Sample:
        loaded = bench_router.run(options, plan, False, *bench_router.server_settings(None))
        figures = received_figures(loaded)
        figures |= ratio(figures, shared.get(("limit", limit_of(plan))))
        shared["ours", plan.name] = figures["cpu_ns_per_packet"]
        bench_router.remark(case, loaded.report)
        return figures

    case = Case(f"roundhouse-{plan.name}", f"our router, loopback; {plan.about}", sample,
                dataclasses.asdict(plan))
    return case


def janus_case(options: Options, plan: Meetings) -> Case:
    """Janus under the same load. times_ours: its CPU a packet against ours in this round."""
    def sample(shared: dict) -> Sample:
        with running(plan.meetings, plan.participants) as server:
            words = bench_router.load_command(options, plan, server, Place())
            loaded = Load([*words, "--dialect", "janus"], server).run()
        figures = received_figures(loaded)
        figures |= ratio(figures, shared.get(("limit", limit_of(plan))))
        bench_router.remark(case, loaded.report)
        return figures | {
            "times_ours": figures["cpu_ns_per_packet"] / shared["ours", plan.name]}

    case = Case(f"janus-{plan.name}", f"Janus' videoroom, loopback; {plan.about}", sample,
                {**dataclasses.asdict(plan), "version": version(program())})
    return case


def cases(options: Options) -> list[Case]:
    """The limit and both servers, one after the other in each round, at sizes that Janus
    carries."""
    program()
    if options.network != "private":
        raise SystemExit("peer-janus needs a network namespace: run as root or allow user "
                         "namespaces")
    sizes = (6,) if options.is_quick else (8, 16, 20)
    plans = [gallery(size) for size in sizes]
    return [case for plan in plans
            for case in (limit_case(limit_of(plan), options.seconds), our_case(options, plan),
                         janus_case(options, plan))]

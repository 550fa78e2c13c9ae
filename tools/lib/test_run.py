"""Runs the stages of tools/test. SPDX-License-Identifier: Apache-2.0"""
import argparse
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import common
import stages as plan

SHOWN_SECONDS = 20
TAIL_LINES = 60


@dataclasses.dataclass
class Outcome:
    """How a stage went."""
    stage: plan.Stage
    passed: int
    failed: int
    seconds: float


class Run:
    """A run of chosen stages; lanes side by side, one printer."""

    def __init__(self, chosen: list[plan.Stage], artefacts: pathlib.Path):
        self.chosen = chosen
        self.artefacts = artefacts
        self.outcomes: dict[str, Outcome] = {}
        self.running: dict[str, tuple[float, subprocess.Popen[str], str]] = {}
        self.lock = threading.Lock()
        self.stopping = False

    def say(self, text: str) -> None:
        """Prints one line at once."""
        with self.lock:
            print(text, flush=True)

    def lane(self, name: str) -> None:
        """Runs a lane's stages in order."""
        for stage in [s for s in self.chosen if s.lane == name]:
            broken = [n for n in stage.needs
                      if n in self.outcomes and self.outcomes[n].failed]
            if broken or self.stopping:
                self.say(f"FAIL {stage.name}: not run, {broken or 'stopped'} failed")
                self.outcomes[stage.name] = Outcome(stage, 0, 1, 0.0)
            else:
                self.outcomes[stage.name] = self.run(stage)

    def run(self, stage: plan.Stage) -> Outcome:
        """Runs one stage; its output goes to artefacts/STAGE.log, its tail here if it fails."""
        self.say(f"---- {stage.name}: {stage.about}")
        started = time.monotonic()
        log = self.artefacts / f"{stage.name}.log"
        environment = common.sanitizer_environment() | dict(stage.environment)
        environment["SYSTEM_TEST_ARTEFACTS"] = str(self.artefacts)
        lines = []
        with open(log, "w") as output:
            process = subprocess.Popen(
                stage.command, cwd=common.ROOT, env=environment, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True)
            self.running[stage.name] = (started, process, "")
            timer = threading.Timer(stage.seconds, end, [process])
            timer.start()
            for line in process.stdout or []:
                lines.append(line)
                output.write(line)
                output.flush()
                self.running[stage.name] = (started, process, line.strip()[:90])
            code = process.wait()
            timer.cancel()
        del self.running[stage.name]
        text = "".join(lines)
        passed, failed = plan.count(stage, code, text)
        seconds = time.monotonic() - started
        if failed:
            self.say("".join(lines[-TAIL_LINES:]))
            if seconds >= stage.seconds:
                self.say(f"{stage.name} was ended after {stage.seconds} s")
        self.say(f"{'FAIL' if failed else 'ok  '} {stage.name}: {passed} passed, {failed} failed,"
                 f" {seconds:.0f} s (whole output: {log})")
        return Outcome(stage, passed, failed, seconds)

    def report_progress(self, done: threading.Event) -> None:
        """Says now and then what is running."""
        while not done.wait(SHOWN_SECONDS):
            for name, (started, _, line) in list(self.running.items()):
                self.say(f"     {name} {time.monotonic() - started:4.0f} s  {line}")

    def stop(self, *_: object) -> None:
        """Ends what runs; used for Ctrl-C and for a kill."""
        self.stopping = True
        for _, process, _ in list(self.running.values()):
            end(process)

    def everything(self) -> None:
        """First what fails fast, then the two lanes side by side, then what needs quiet cores."""
        done = threading.Event()
        threading.Thread(target=self.report_progress, args=[done], daemon=True).start()
        for lanes in (["first"], ["build", "side"], ["last"]):
            threads = [threading.Thread(target=self.lane, args=[name]) for name in lanes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        done.set()


def end(process: subprocess.Popen[str]) -> None:
    """Ends a stage with all that it started: they share its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/test", description="Runs every test of Roundhouse, or the stages named.")
    parser.add_argument("--list", action="store_true", help="list the stages")
    parser.add_argument("--keep", action="store_true",
                        help="keep what the tests made (screenshots, logs of servers)")
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    return parser.parse_args()


def main() -> int:
    """Runs, sums up."""
    options = arguments()
    known = plan.stages(common.venv_python(), options.keep)
    if options.list:
        print("\n".join(f"{s.name:8} {s.about}" for s in known))
        return 0
    names = {s.name for s in known}
    if unknown := set(options.stages) - names:
        print(f"tools/test: no such stage: {' '.join(unknown)}; there are {' '.join(names)}")
        return 2
    chosen = [s for s in known if not options.stages or s.name in options.stages]
    artefacts = common.ROOT / "artefacts"
    artefacts.mkdir(exist_ok=True)
    started = time.monotonic()
    run = Run(chosen, artefacts)
    signal.signal(signal.SIGINT, run.stop)
    signal.signal(signal.SIGTERM, run.stop)
    run.everything()
    print(f"\n{'stage':10}{'passed':>8}{'failed':>8}{'seconds':>9}")
    for stage in chosen:
        out = run.outcomes[stage.name]
        print(f"{stage.name:10}{out.passed:8}{out.failed:8}{out.seconds:9.0f}")
    outcomes = run.outcomes.values()
    print(f"{'all':10}{'':16}{time.monotonic() - started:9.0f}\n")
    passed, failed = sum(o.passed for o in outcomes), sum(o.failed for o in outcomes)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""A meeting between real browsers through the web client. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import contextlib

import pytest

from support import clips
from support.browsers import ChromiumPage, FirefoxPage, Person
from support.waiting import until

WATCHED_SECONDS = 60
SAMPLE_SECONDS = 6
FRAMES_MIN = 3     # of an interval: a loaded machine encodes few, a frozen picture has none


async def others_of(person: Person, people: list[Person]) -> list[Person]:
    """Everybody else."""
    return [p for p in people if p is not person]


async def check_everyone_sees_everyone(people: list[Person], seconds: float = 40) -> None:
    """Each shows each other's own picture."""
    for person in people:
        for other in await others_of(person, people):
            await until(lambda: person.sees(other), seconds,
                        f"{person.name} to see {other.name} ({other.clip.name})")


async def watch(people: list[Person]) -> None:
    """For a minute: each picture moves and each voice sounds in every interval."""
    pairs = [(p, o) for p in people for o in await others_of(p, people)]

    async def sample():
        return {(p.name, o.name): (await p.decoded(o), await p.energy(o)) for p, o in pairs}
    loop = asyncio.get_running_loop()
    started, before = loop.time(), await sample()
    first = before
    while loop.time() - started < WATCHED_SECONDS:
        await asyncio.sleep(SAMPLE_SECONDS)
        now = await sample()
        for pair, (frames, energy) in now.items():
            count = frames - before[pair][0]
            assert count >= FRAMES_MIN, f"{pair}: {count} frames in {SAMPLE_SECONDS} s"
            assert energy > before[pair][1], f"{pair}: no sound"
        before = now
    for pair, (frames, energy) in before.items():
        print(f"{pair[0]} <- {pair[1]}: {(frames - first[pair][0]) / (loop.time() - started):.1f}"
              f" frames a second, energy {energy - first[pair][1]:.4f}")


async def check_mute(speaker: Person, listeners: list[Person]) -> None:
    """A muted microphone is shown and silent, and comes back."""
    await speaker.page.click("#mute-mic")
    for listener in listeners:
        async def shown() -> bool:
            return await listener.tile(speaker, "data-muted") == "true"
        await until(shown, 10, f"{listener.name} to see {speaker.name} muted")

        async def silent() -> bool:
            before = await listener.energy(speaker)
            await asyncio.sleep(1)
            return await listener.energy(speaker) - before < 1e-5
        await until(silent, 10, f"silence of {speaker.name} at {listener.name}")
    await speaker.page.click("#mute-mic")
    for listener in listeners:
        before = await listener.energy(speaker)

        async def heard() -> bool:
            return await listener.energy(speaker) > before + 1e-4
        await until(heard, 15, f"{listener.name} to hear {speaker.name} again")


async def check_camera_off_and_on(person: Person, viewers: list[Person]) -> None:
    """A camera that is switched off is shown as off, and its picture comes back."""
    await person.page.click("#toggle-camera")
    for viewer in viewers:
        async def off() -> bool:
            return await viewer.tile(person, "data-video") == "off"
        await until(off, 15, f"{viewer.name} to see {person.name}'s camera off")
    await person.page.click("#toggle-camera")
    for viewer in viewers:
        await until(lambda: viewer.sees(person), 20,
                    f"{viewer.name} to see {person.name} again")


async def check_late_joiner(late: Person, people: list[Person], url: str) -> None:
    """Somebody who comes late sees everybody; how fast is reported."""
    await late.sign_up(url)
    await late.join_from_lobby()
    await check_everyone_sees_everyone([*people, late])
    times = await late.page.evaluate("window.roundhouse.timeToFirstFrame")
    print("late joiner, click to first picture (ms):",
          {p.name: round(times[p.account_id]) for p in people if p.account_id in times})
    assert all(p.account_id in times for p in people), times


async def check_leave(leaver: Person, people: list[Person]) -> None:
    """Somebody who leaves is gone for the others."""
    await leaver.page.click("#leave")
    await leaver.reaches("left")
    for person in people:
        async def gone() -> bool:
            return leaver.account_id not in [u["accountId"] for u in await person.users()]
        await until(gone, 10, f"{leaver.name} to be gone at {person.name}")
        assert await person.tile(leaver, "data-video") is None


async def check_end(host: Person, people: list[Person], url: str) -> None:
    """The host ends the meeting for all; nobody comes in any more."""
    await host.page.click("#leave-menu")
    await host.page.click("#end-meeting")
    for person in (host, *people):
        await person.reaches("ended")
    for person in people:
        shown = await person.page.evaluate("!!document.querySelector('#meeting-ended')")
        assert shown, person.name
    await people[0].page.open(url)
    await people[0].reaches("denied", "ended")


@pytest.mark.timeout(420)
async def test_two_chromium_and_a_firefox_meet(node, artefacts, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        async def person(name: str, clip: clips.Clip, is_firefox: bool = False) -> Person:
            page = await (FirefoxPage.start(clip, artefacts / "test_browsers.firefox.log")
                          if is_firefox else ChromiumPage.start(clip, tmp_path))
            stack.push_async_callback(page.close)
            return Person(name, clip, page)
        ada = await person("Ada", clips.RED)
        ben = await person("Ben", clips.GREEN)
        fay = await person("Fay", clips.BLUE, is_firefox=True)
        people = [ada, ben, fay]
        await ada.sign_up(node.url + "/")
        url = f"{node.url}/m/{await ada.create_meeting()}"
        try:
            for guest in (ben, fay):
                await guest.sign_up(url)
                await guest.join_from_lobby()
            await check_everyone_sees_everyone(people)
            await watch(people)
            for each in people:
                await each.page.picture(artefacts / f"meeting.{each.name}.png")
            await check_mute(ada, [ben, fay])
            await check_camera_off_and_on(ben, [ada, fay])
            late = await person("Lea", clips.YELLOW)
            people.append(late)
            await check_late_joiner(late, people[:3], url)
            await ada.page.picture(artefacts / "meeting.four.png")
            await check_leave(late, [ada, ben, fay])
            people.remove(late)
            await check_end(ada, [ben, fay], url)
        except BaseException:
            for each in people:
                with contextlib.suppress(Exception):
                    await each.page.picture(artefacts / f"failure.{each.name}.png")
                    await each.keep_traces(artefacts, "failure")
            raise


@pytest.mark.timeout(120)
async def test_screen_share_and_resume(node, artefacts, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for name, clip in (("Ada", clips.RED), ("Ben", clips.GREEN)):
            page = await ChromiumPage.start(clip, tmp_path)
            stack.push_async_callback(page.close)
            people.append(Person(name, clip, page))
        ada, ben = people
        await ada.sign_up(node.url + "/")
        url = f"{node.url}/m/{await ada.create_meeting()}"
        await ben.sign_up(url)
        await ben.join_from_lobby()
        await check_everyone_sees_everyone(people)
        await ada.page.click("#share-screen")

        async def screen_moves() -> bool:
            account = (await ben.stats())["accounts"].get(ada.account_id, {})
            return ((account.get("screen") or {}).get("framesDecoded") or 0) > 3
        await until(screen_moves, 30, "Ben to see Ada's screen")
        await ben.page.picture(artefacts / "meeting.screen.png")
        await ada.page.evaluate("window.roundhouse.dropSocket()")
        await ada.reaches("reconnecting", "live")
        await ada.reaches("live")
        packets = await ben.page.evaluate("window.roundhouse.packets")
        left = [p for p in packets if p["direction"] == "in"
                and p["packet"]["content_type"] == "LEAVE"]
        assert not left, "the others saw a LEAVE although the session was resumed"
        await check_everyone_sees_everyone(people)

"""People with browsers: the web client driven by its hooks. SPDX-License-Identifier: Apache-2.0"""
import json
import pathlib
import secrets
import time

from playwright.async_api import async_playwright

from support import clips
from support.bidi import Firefox
from support.rest import PASSWORD
from support.waiting import until

CHROMIUM_OPTIONS = [
    "--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
    "--disable-features=Translate", "--mute-audio",
]
PREFERENCES = """() => {
  if (!localStorage.getItem("roundhouse.preferences"))
    localStorage.setItem("roundhouse.preferences", JSON.stringify({quality: "standard"}));
}"""
COLOUR_TOLERANCE = 45
VIEWPORT = {"width": 1280, "height": 800}


class ChromiumPage:
    """One Chromium with one page."""

    def __init__(self, driver, browser, page):
        self.driver, self.browser, self.page = driver, browser, page
        self.words: list[str] = []
        page.on("console", lambda message: self.words.append(message.text))
        page.on("pageerror", lambda error: self.words.append(f"error: {error}"))

    @classmethod
    async def start(cls, clip: clips.Clip, folder: pathlib.Path) -> "ChromiumPage":
        """Starts the program with a camera and a microphone."""
        video, audio = clips.make(clip, folder)
        driver = await async_playwright().start()
        browser = await driver.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True,
            args=[*CHROMIUM_OPTIONS, f"--use-file-for-fake-video-capture={video}",
                  f"--use-file-for-fake-audio-capture={audio}"])
        context = await browser.new_context(
            viewport=VIEWPORT, permissions=["camera", "microphone"])
        page = await context.new_page()
        await page.add_init_script(f"({PREFERENCES})()")
        return cls(driver, browser, page)

    async def open(self, url: str) -> None:
        """Loads a page."""
        await self.page.goto(url)

    async def evaluate(self, expression: str):
        """The value of an expression."""
        return await self.page.evaluate(f"async () => (await ({expression})) ?? null")

    async def click(self, selector: str) -> None:
        """Clicks as a person does."""
        await self.page.click(selector, timeout=15_000)

    async def fill(self, selector: str, text: str) -> None:
        """Writes into a field."""
        await self.page.fill(selector, text, timeout=15_000)

    async def press(self, key: str) -> None:
        """Presses a key."""
        await self.page.keyboard.press(key)

    async def picture(self, path: pathlib.Path) -> None:
        """Writes a PNG."""
        await self.page.screenshot(path=path)

    async def close(self) -> None:
        """Ends the program."""
        await self.browser.close()
        await self.driver.stop()


class FirefoxPage:
    """One Firefox with one page."""

    def __init__(self, firefox: Firefox):
        self.firefox = firefox
        self.words: list[str] = []
        self.open, self.evaluate = firefox.open, firefox.evaluate
        self.picture, self.close = firefox.picture, firefox.close
        self.press = firefox.type

    @classmethod
    async def start(cls, clip: clips.Clip, log: pathlib.Path) -> "FirefoxPage":
        """Starts the program with a camera and a microphone."""
        firefox = await Firefox.start(log)
        await firefox.before_pages(clips.camera_script(clip))
        await firefox.before_pages(PREFERENCES)
        return cls(firefox)

    async def click(self, selector: str) -> None:
        """Clicks once the element is there and enabled."""
        found = f"document.querySelector({json.dumps(selector)})"
        await until(lambda: self.evaluate(f"!!{found} && !{found}.disabled"), 15, selector)
        await self.evaluate(f"({found}.focus(), {found}.click())")

    async def fill(self, selector: str, text: str) -> None:
        """Writes into a field with the keyboard."""
        found = f"document.querySelector({json.dumps(selector)})"
        await until(lambda: self.evaluate(f"!!{found}"), 15, selector)
        await self.evaluate(f"({found}.focus(), {found}.select())")
        await self.firefox.type(text)


class Person:
    """Somebody in front of a browser."""

    def __init__(self, name: str, clip: clips.Clip, page: ChromiumPage | FirefoxPage):
        self.name, self.clip, self.page = name, clip, page
        self.account_id = ""

    async def state(self) -> str:
        """The state of the web client."""
        return await self.page.evaluate("window.roundhouse?.state ?? ''")

    async def reaches(self, *states: str, seconds: float = 25) -> None:
        """Waits for one of the client's states."""
        async def reached() -> bool:
            return await self.state() in states
        try:
            await until(reached, seconds, f"{self.name} to reach {'/'.join(states)}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; {await self.story()}") from None

    async def story(self) -> str:
        """What the client knows about what went wrong."""
        return json.dumps(await self.page.evaluate(
            "({state: window.roundhouse?.state, errors: window.roundhouse?.errors?.slice(-5),"
            " said: [...document.querySelectorAll('[role=alert]')].map(e => e.textContent)})"))

    async def sign_up(self, url: str) -> None:
        """Signs up on the page that `url` shows to somebody who is signed out."""
        await self.page.open(url)
        await self.reaches("auth")
        await self.page.click("#tab-signup")
        await self.page.fill("#signup-name", self.name)
        await self.page.fill("#signup-email", f"{self.name.lower()}.{secrets.token_hex(4)}@a.org")
        await self.page.fill("#signup-password", PASSWORD)
        await self.page.click("#signup-submit")
        await self.reaches("home", "lobby")
        self.account_id = await self.page.evaluate("window.roundhouse.accountId")

    async def create_meeting(self) -> str:
        """Creates a meeting and joins it; returns its id."""
        await self.page.click("#create-meeting")
        await self.join_from_lobby()
        return await self.page.evaluate("window.roundhouse.meetingId")

    async def join_from_lobby(self) -> None:
        """Joins."""
        await self.reaches("lobby")
        await self.page.click("#lobby-join")
        await self.reaches("live")

    async def users(self) -> list[dict]:
        """Everyone whom the client shows."""
        return await self.page.evaluate("window.roundhouse.users")

    async def stats(self) -> dict:
        """The client's statistics."""
        return await self.page.evaluate("window.roundhouse.getStats()")

    async def decoded(self, other: "Person") -> int:
        """Frames decoded of somebody's camera."""
        camera = (await self.stats())["accounts"].get(other.account_id, {}).get("camera") or {}
        return camera.get("framesDecoded") or 0

    async def energy(self, other: "Person") -> float:
        """Sound energy received of somebody."""
        account = (await self.stats())["accounts"].get(other.account_id, {})
        return (account.get("microphone") or {}).get("audioEnergy") or 0.0

    async def colour(self, other: "Person") -> list[int] | None:
        """The colour in the upper right quarter of somebody's picture, read back from the page."""
        return await self.page.evaluate(f"""(() => {{
          const video = document.querySelector('[data-testid=tile]'
            + '[data-account-id="{other.account_id}"][data-source=camera] video');
          if (!video || !video.videoWidth) return null;
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [64, 36];
          const pen = canvas.getContext("2d");
          pen.drawImage(video, 0, 0, 64, 36);
          return [...pen.getImageData(48, 9, 1, 1).data].slice(0, 3);
        }})()""")

    async def sees(self, other: "Person") -> bool:
        """Whether somebody's tile shows that person's clip."""
        found = await self.colour(other)
        return found is not None and all(
            abs(f - e) <= COLOUR_TOLERANCE for f, e in zip(found, other.clip.rgb))

    async def tile(self, other: "Person", attribute: str) -> str | None:
        """An attribute of somebody's tile."""
        return await self.page.evaluate(
            "document.querySelector('[data-testid=tile][data-source=camera]"
            f"[data-account-id=\"{other.account_id}\"]')?.getAttribute({json.dumps(attribute)})")

    async def keep_traces(self, folder: pathlib.Path, name: str) -> None:
        """Writes what the client remembers, for a failure's reader."""
        traces = await self.page.evaluate(
            "({state: roundhouse.state, users: roundhouse.users, slots: roundhouse.slots,"
            " subscriptions: roundhouse.subscriptions, errors: roundhouse.errors,"
            " packets: roundhouse.packets})")
        traces["stats"] = await self.stats() if traces["state"] == "live" else None
        traces["console"], traces["at"] = self.page.words[-50:], time.ctime()
        (folder / f"{name}.{self.name}.json").write_text(json.dumps(traces, indent=1))

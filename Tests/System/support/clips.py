"""Fake cameras and microphones: a colour and a tone for each participant.
SPDX-License-Identifier: Apache-2.0

The upper right quarter of a picture is the participant's colour, flat; the rest moves and shows
the frame's number, so a frozen or a foreign picture is told apart.
"""
import dataclasses
import pathlib
import subprocess

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 15, 4


@dataclasses.dataclass(frozen=True)
class Clip:
    """One participant's picture and sound."""
    name: str
    rgb: tuple[int, int, int]
    hertz: int


RED = Clip("red", (200, 30, 30), 440)
GREEN = Clip("green", (30, 180, 40), 660)
BLUE = Clip("blue", (40, 60, 220), 880)
YELLOW = Clip("yellow", (210, 200, 30), 1100)


def make(clip: Clip, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes NAME.y4m and NAME.wav."""
    video, audio = folder / f"{clip.name}.y4m", folder / f"{clip.name}.wav"
    colour = "0x%02x%02x%02x" % clip.rgb
    half, quarter = WIDTH // 2, HEIGHT // 2
    picture = (f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}:duration={SECONDS},"
               f"drawbox=x={half}:y=0:w={half}:h={quarter}:color={colour}:t=fill,format=yuv420p")
    # Loud and soft in turn: noise suppression takes a steady tone away.
    sound = (f"aevalsrc=0.6*sin(2*PI*{clip.hertz}*t)*(0.5+0.5*sin(2*PI*3*t))"
             f":sample_rate=48000:duration=8")
    for source, target in ((picture, video), (sound, audio)):
        subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, str(target)],
            check=True, stdin=subprocess.DEVNULL)
    return video, audio


def camera_script(clip: Clip) -> str:
    """For a browser that takes no files: a function to run before any page's own scripts, which
    gives the page a camera with the clip's colour; its microphone is the browser's own tone."""
    red, green, blue = clip.rgb
    return f"""() => {{
      const camera = () => {{
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [{WIDTH}, {HEIGHT}];
        const pen = canvas.getContext("2d");
        let frame = 0;
        const draw = () => {{
          frame += 1;
          pen.fillStyle = `hsl(${{frame * 4 % 360}} 60% 50%)`;
          pen.fillRect(0, 0, {WIDTH}, {HEIGHT});
          pen.fillStyle = "rgb({red} {green} {blue})";
          pen.fillRect({WIDTH // 2}, 0, {WIDTH // 2}, {HEIGHT // 2});
          pen.fillStyle = "white";
          pen.font = "60px sans-serif";
          pen.fillText(String(frame), 20, {HEIGHT - 40});
        }};
        draw();
        setInterval(draw, 1000 / {RATE});
        return canvas.captureStream({RATE}).getVideoTracks();
      }};
      if (!navigator.mediaDevices) return;
      const devices = navigator.mediaDevices;
      const original = devices.getUserMedia.bind(devices);
      const microphone = async () => (await original({{audio: true}})).getAudioTracks();
      devices.getUserMedia = async (wanted) => new MediaStream([
        ...(wanted.video ? camera() : []), ...(wanted.audio ? await microphone() : [])]);
    }}"""

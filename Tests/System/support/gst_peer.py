"""A participant on GStreamer's webrtcbin. SPDX-License-Identifier: Apache-2.0

Run by /usr/bin/python3, whose `gi` Debian provides; speaks JSON lines on its standard channels:
writes {"offer", "sources"}, reads {"answer"}, then writes what it has received, twice a second:
{"state", "pictures", "chroma", "sounds", "rms"}. It ends when its input does.
"""
import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

REPORT_MS = 500
GATHER_MS = 500
PUBLISHED = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball background-color=0xffc81e1e
    ! video/x-raw,width=320,height=180,framerate=15/1 ! videoconvert
    ! vp8enc deadline=1 keyframe-max-dist=60 target-bitrate=300000 ! rtpvp8pay pt=96
    ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
audiotestsrc is-live=true freq=500 volume=0.4 ! audioconvert ! audioresample ! opusenc
    ! rtpopuspay pt=97 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
"""
VIDEO_BRANCH = """rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=I420
    ! fakesink name=sink signal-handoffs=true sync=false"""
AUDIO_BRANCH = """rtpopusdepay ! opusdec ! audioconvert
    ! level name=level interval=200000000 ! fakesink sync=false"""


def say(**members) -> None:
    """One line to the test."""
    print(json.dumps(members), flush=True)


class Peer:
    """The pipeline and what it has received."""

    def __init__(self) -> None:
        self.pipeline = Gst.parse_launch(PUBLISHED)
        self.bin = self.pipeline.get_by_name("peer")
        self.offered = False
        self.pictures, self.sounds = 0, 0
        self.chroma, self.rms = [0, 0], -200.0
        self.held: list = []
        for caps in ("media=video,encoding-name=VP8,payload=98,clock-rate=90000",
                     "media=audio,encoding-name=OPUS,payload=99,clock-rate=48000,"
                     "encoding-params=(string)2"):
            self.bin.emit("add-transceiver",
                          GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY,
                          Gst.Caps.from_string("application/x-rtp," + caps))
        for index in (0, 1):
            self.bin.emit("get-transceiver", index).set_property(
                "direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        self.bin.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.bin.connect("pad-added", self.on_pad)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::element", self.on_message)

    def on_negotiation_needed(self, *_: object) -> None:
        """Makes one offer."""
        if not self.offered:
            self.offered = True
            promise = Gst.Promise.new_with_change_func(self.on_offer, None)
            self.held.append(promise)
            self.bin.emit("create-offer", None, promise)

    def on_offer(self, promise: Gst.Promise, *_: object) -> None:
        """Takes the offer as local description and sends it once candidates are there."""
        promise.wait()
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        _, copy = GstSdp.SDPMessage.new_from_text(offer.sdp.as_text())
        description = GstWebRTC.WebRTCSessionDescription.new(
            GstWebRTC.WebRTCSDPType.OFFER, copy)
        self.held += [reply, offer, description]
        self.bin.emit("set-local-description", description, Gst.Promise.new())
        GLib.timeout_add(GATHER_MS, self.send_offer)

    def send_offer(self) -> bool:
        """Sends the offer when it is complete."""
        local = self.bin.get_property("local-description")
        if local is None:
            return True
        text = local.sdp.as_text()
        say(offer=text, sources=sending(text))
        return False

    def answer(self, sdp: str) -> None:
        """Takes the node's answer."""
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        description = GstWebRTC.WebRTCSessionDescription.new(
            GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.held.append(description)
        self.bin.emit("set-remote-description", description, Gst.Promise.new())

    def on_pad(self, _: object, pad: Gst.Pad) -> None:
        """Decodes a received stream."""
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps() or pad.query_caps()
        is_video = caps.get_structure(0).get_string("media") == "video"
        branch = Gst.parse_bin_from_description(VIDEO_BRANCH if is_video else AUDIO_BRANCH, True)
        if is_video:
            branch.get_by_name("sink").connect("handoff", self.on_picture)
        self.pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    def on_picture(self, _: object, buffer: Gst.Buffer, pad: Gst.Pad) -> None:
        """Counts a picture and reads the colour of its middle."""
        structure = pad.get_current_caps().get_structure(0)
        width = structure.get_value("width")
        height = structure.get_value("height")
        done, data = buffer.map(Gst.MapFlags.READ)
        if done:
            stride = (width // 2 + 3) // 4 * 4
            luma = (width + 3) // 4 * 4 * ((height + 1) // 2 * 2)
            plane = stride * ((height + 1) // 2)
            middle = (height // 4) * stride + width // 4
            self.chroma = [data.data[luma + middle], data.data[luma + plane + middle]]
            buffer.unmap(data)
        self.pictures += 1

    def on_message(self, _: object, message: Gst.Message) -> None:
        """Takes the loudness of received sound."""
        structure = message.get_structure()
        if structure and structure.get_name() == "level":
            self.sounds += 1
            self.rms = structure.get_value("rms")[0]

    def report(self) -> bool:
        """Says what has been received."""
        say(state=self.bin.get_property("connection-state").value_nick,
            pictures=self.pictures, chroma=self.chroma, sounds=self.sounds, rms=self.rms)
        return True


def sending(sdp: str) -> dict[str, str]:
    """The sources of an offer's sendonly sections by mid."""
    found = {}
    for section in sdp.split("\nm=")[1:]:
        lines = section.splitlines()
        mid = next(line[6:].strip() for line in lines if line.startswith("a=mid:"))
        if any(line.strip() == "a=sendonly" for line in lines):
            found[mid] = "camera" if lines[0].startswith("video") else "microphone"
    return found


def main() -> None:
    """Runs until the input ends."""
    Gst.init(None)
    peer, loop = Peer(), GLib.MainLoop()

    def read() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            GLib.idle_add(peer.answer, message["answer"])
        loop.quit()
    threading.Thread(target=read, daemon=True).start()
    GLib.timeout_add(REPORT_MS, peer.report)
    peer.pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    peer.pipeline.set_state(Gst.State.NULL)


main()

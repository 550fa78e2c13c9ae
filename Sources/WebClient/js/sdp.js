// Codec choice and the little that is changed in session descriptions.
// Pure. SPDX-License-Identifier: Apache-2.0

const VIDEO_ORDER = ["video/vp8", "video/vp9", "video/h264", "video/av1"];

/** Every receiver decodes constrained baseline (RFC 7742 section 6.2). */
const isConstrained = (codec) => /profile-level-id=42e0/i.test(codec.sdpFmtpLine ?? "");

/** Keeps one H.264 profile (constrained baseline, packetization-mode 1) and VP9 profile 0. */
function usable(codec) {
  const line = (codec.sdpFmtpLine ?? "").toLowerCase();
  const type = codec.mimeType.toLowerCase();
  if (type === "video/h264") {
    return line.includes("packetization-mode=1") && /profile-level-id=42[0-9a-f]{4}/.test(line);
  }
  if (type === "video/vp9") return !line.includes("profile-id=") || line.includes("profile-id=0");
  if (type === "video/av1") return !/(^|;)\s*profile=[12]/.test(line);
  return VIDEO_ORDER.includes(type);
}

/**
 * The codecs to offer for video, VP8 first, one profile each, with retransmission.
 * available  codecs of RTCRtpReceiver.getCapabilities("video")
 */
export function videoCodecs(available) {
  const chosen = [];
  for (const type of VIDEO_ORDER) {
    const fitting = available.filter((c) => c.mimeType.toLowerCase() === type && usable(c));
    if (fitting.length > 0) chosen.push(fitting.find(isConstrained) ?? fitting[0]);
  }
  const resend = available.filter((c) => c.mimeType.toLowerCase() === "video/rtx");
  return chosen.length === 0 ? [] : [...chosen, ...resend];
}

/** Opus alone, for the microphone and the audio slots. */
export function audioCodecs(available) {
  return available.filter((codec) => codec.mimeType.toLowerCase() === "audio/opus");
}

/**
 * Asks our own encoder, in the node's answer, for discontinuous transmission and in-band
 * error correction (RFC 7587 section 6.1): silence then costs next to nothing.
 */
export function withOpusOptions(sdp) {
  const types = new Set([...sdp.matchAll(/^a=rtpmap:(\d+) opus\//gim)].map((match) => match[1]));
  const seen = new Set();
  const lines = sdp.split("\r\n").map((line) => {
    const match = /^a=fmtp:(\d+) (.*)$/.exec(line);
    if (!match || !types.has(match[1])) return line;
    seen.add(match[1]);
    return `a=fmtp:${match[1]} ${addParameters(match[2])}`;
  });
  return lines.flatMap((line) => {
    const match = /^a=rtpmap:(\d+) opus\//i.exec(line);
    const missing = match && !seen.has(match[1]);
    return missing ? [line, `a=fmtp:${match[1]} ${addParameters("")}`] : [line];
  }).join("\r\n");
}

function addParameters(text) {
  const parameters = text.split(";").map((part) => part.trim()).filter(Boolean);
  const names = new Set(parameters.map((part) => part.split("=")[0].toLowerCase()));
  if (!names.has("usedtx")) parameters.push("usedtx=1");
  if (!names.has("useinbandfec")) parameters.push("useinbandfec=1");
  return parameters.join(";");
}

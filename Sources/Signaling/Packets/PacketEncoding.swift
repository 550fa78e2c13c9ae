// Writes packets as JSON text.
// SPDX-License-Identifier: Apache-2.0

extension PacketBody {
    /// The value of `content_type`.
    public var contentType: String {
        switch self {
        case .initiate: "INIT"
        case .join: "JOIN"
        case .joinDenied: "JOIN_DENIED"
        case .error: "ERROR"
        case .meetingUsers: "MEETING_USERS"
        case .leave: "LEAVE"
        case .end: "END"
        case .subscribe: "SUBSCRIBE"
        case .unsubscribe: "UNSUBSCRIBE"
        case .unsubscribeSubscribe: "UNSUB_SUB"
        case .recordJoin: "RECORD_JOIN"
        case .offer: "OFFER"
        case .answer: "ANSWER"
        case .transport: "TRANSPORT"
        case .feeds: "FEEDS"
        case .slots: "SLOTS"
        case .speakers: "SPEAKERS"
        case .mute: "MUTE"
        case .kick: "KICK"
        case .lock: "LOCK"
        case .admit: "ADMIT"
        case .deny: "DENY"
        case .hand: "HAND"
        case .chat: "CHAT"
        case .reaction: "REACTION"
        case .quality: "QUALITY"
        case .resume: "RESUME"
        case .move: "MOVE"
        }
    }
}

extension Packet {
    /// The packet as the text of one frame. `decode` of it gives the packet back.
    public var text: String {
        var object = JSONObjectWriter()
        object.add("meeting_id", meetingID)
        object.add("content_type", body.contentType)
        body.writeControl(to: &object)
        body.writeMedia(to: &object)
        body.writeConversation(to: &object)
        return object.text
    }
}

extension PacketBody {
    /// The packets of the requirements.
    fileprivate func writeControl(to object: inout JSONObjectWriter) {
        switch self {
        case .initiate(let host, let ticket):
            object.add("host", host)
            object.addOptional("ticket", ticket)
        case .join(let join):
            object.add("account_id", join.accountID)
            object.addOptional("ticket", join.ticket)
            object.addOptional("name", join.name)
            if join.isWaiting { object.add("waiting", true) }
        case .joinDenied(let reason): object.addOptional("reason", reason)
        case .error(let message): object.add("msg", message)
        case .meetingUsers(let users): users.write(to: &object)
        case .leave(let accountID), .kick(let accountID), .admit(let accountID),
            .deny(let accountID):
            object.add("account_id", accountID)
        case .subscribe(let requests):
            object.add("num_actions", requests.count)
            object.add("subscriptions", requests.map(\.object))
        case .unsubscribe(let requests): object.add("num_actions", requests.map(\.object))
        case .unsubscribeSubscribe(let old, let new):
            object.add("num_actions", old.count + new.count)
            object.add("unsubscribe", old.map(\.object))
            object.add("subscribe", new.map(\.object))
        case .recordJoin(let ticket): object.addOptional("ticket", ticket)
        case .resume(let session): object.add("session", session)
        case .move(let server, let ticket):
            object.add("server", server)
            object.add("ticket", ticket)
        default: break
        }
    }

    fileprivate func writeMedia(to object: inout JSONObjectWriter) {
        switch self {
        case .offer(let offer):
            object.add("sdp", offer.sdp)
            guard !offer.sources.isEmpty else { return }
            var sources = JSONObjectWriter()
            for mid in offer.sources.keys.sorted() {
                sources.addOptional(mid, offer.sources[mid]?.rawValue)
            }
            object.add("sources", sources)
        case .answer(let sdp): object.add("sdp", sdp)
        case .transport(let request): request.write(to: &object)
        case .feeds(let accountID, let feeds):
            object.add("account_id", accountID)
            object.add("feeds", feeds.map(\.object))
        case .slots(let slots): object.add("slots", slots.map(\.object))
        case .speakers(let speakers):
            object.add("active", speakers.map(\.object))
        case .quality(let quality):
            object.add("downlink", quality.downlink)
            object.add("loss", quality.loss)
            object.add("held", quality.held.map(\.object))
        default: break
        }
    }

    fileprivate func writeConversation(to object: inout JSONObjectWriter) {
        switch self {
        case .mute(let mute):
            object.add("account_id", mute.accountID)
            object.add("kind", mute.kind.rawValue)
            object.addOptional("source", mute.source?.rawValue)
            object.add("muted", mute.isMuted)
        case .lock(let lock):
            object.add("locked", lock.isLocked)
            if let waiting = lock.hasWaitingRoom { object.add("waiting_room", waiting) }
        case .hand(let hand):
            object.addOptional("account_id", hand.accountID)
            object.add("raised", hand.isRaised)
        case .chat(let chat):
            object.addOptional("account_id", chat.accountID)
            object.addOptional("to", chat.to)
            object.add("text", chat.text)
        case .reaction(let reaction):
            object.addOptional("account_id", reaction.accountID)
            object.add("reaction", reaction.reaction)
        default: break
        }
    }
}

extension JSONObjectWriter {
    fileprivate mutating func addOptional(_ key: String, _ value: String?) {
        if let value { add(key, value) }
    }
}

extension MeetingUsers {
    fileprivate func write(to object: inout JSONObjectWriter) {
        object.add("users", users)
        object.addOptional("session", session)
        object.addOptional("host", host)
        if !names.isEmpty {
            var members = JSONObjectWriter()
            for accountID in names.keys.sorted() {
                members.addOptional(accountID, names[accountID])
            }
            object.add("names", members)
        }
        if isLocked { object.add("locked", true) }
    }
}

extension TransportRequest {
    fileprivate func write(to object: inout JSONObjectWriter) {
        object.add("mode", mode.rawValue)
        object.add("suite", suite)
        object.addOptional("key", key)
        object.add(
            "streams",
            streams.map { stream in
                var member = JSONObjectWriter()
                member.add("mid", stream.mid)
                member.add("kind", stream.kind.rawValue)
                member.add("direction", stream.isSending ? "send" : "receive")
                member.add("address", stream.address)
                member.add("port", stream.port)
                member.add("ssrc", stream.ssrc)
                member.add("payload_type", stream.payloadType)
                member.add("codec", stream.codec)
                return member
            })
    }
}

extension FeedRequest {
    fileprivate var object: JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("account_id", accountID)
        object.add("bitrate", bitrate)
        if source != .camera { object.add("source", source.rawValue) }
        return object
    }
}

extension Feed {
    fileprivate var object: JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("source", source.rawValue)
        object.add("kind", source.kind.rawValue)
        object.add("codec", codec)
        object.add(
            "layers",
            layers.map { layer in
                var member = JSONObjectWriter()
                member.add("width", layer.width)
                member.add("height", layer.height)
                member.add("fps", layer.fps)
                member.add("bitrate", layer.bitrate)
                return member
            })
        object.add("muted", isMuted)
        return object
    }
}

extension SlotState {
    fileprivate var object: JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("mid", mid)
        object.add("account_id", accountID)
        if let source { object.add("source", source.rawValue) } else { object.addNull("source") }
        if let layer { object.add("layer", layer) } else { object.addNull("layer") }
        object.add("bitrate", bitrate)
        return object
    }
}

extension SpeakerLevel {
    fileprivate var object: JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("account_id", accountID)
        object.add("level", level)
        return object
    }
}

extension Quality.Held {
    fileprivate var object: JSONObjectWriter {
        var object = JSONObjectWriter()
        object.add("account_id", accountID)
        object.add("source", source.rawValue)
        object.add("wanted", wanted)
        object.add("given", given)
        object.add("reason", reason)
        return object
    }
}

// Reads packets: a table from content_type to the function that reads the rest.
// SPDX-License-Identifier: Apache-2.0

extension Packet {
    private typealias Reader = @Sendable (PacketFields) throws(PacketError) -> PacketBody

    /// Reads one packet. Unknown members are ignored; accepts any bytes; never aborts.
    ///
    /// - Parameter bytes: the text frame's payload as UTF-8.
    /// - Throws: `PacketError`; `isFatal` says whether the socket may stay open.
    public static func decode(
        _ bytes: Span<UInt8>, bytesMax: Int = 1 << 20
    ) throws(PacketError) -> Packet {
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes, limits: JSONLimits(bytes: bytesMax))
        } catch {
            switch error {
            case .limit(let reason): throw PacketError(.limit, "the packet is \(reason)")
            case .malformed(let reason, let offset):
                throw PacketError(.notJSON, "the packet is not JSON: \(reason) (byte \(offset))")
            }
        }
        return try decode(value)
    }

    /// Reads one packet from text.
    public static func decode(_ text: String) throws(PacketError) -> Packet {
        var text = text
        text.makeContiguousUTF8()
        return try decode(text.utf8.span)
    }

    private static func decode(_ value: JSONValue) throws(PacketError) -> Packet {
        guard case .object(let members) = value else {
            throw PacketError(.notJSON, "a packet must be a JSON object, not \(value.typeName)")
        }
        let head = PacketFields(members: members, path: "")
        let type = try head.string("content_type")
        guard let reader = readers[type] else {
            throw PacketError(.malformed, "content_type \(quoted(type)) is unknown")
        }
        let fields = PacketFields(members: members, path: "\(type): ")
        let meetingID = try fields.string("meeting_id")
        return Packet(meetingID, try reader(fields))
    }

    /// Every content_type that is understood.
    public static var contentTypes: [String] { readers.keys.sorted() }

    private static let readers: [String: Reader] = [
        "INIT": readInit, "JOIN": readJoin, "JOIN_DENIED": readJoinDenied, "ERROR": readError,
        "MEETING_USERS": readMeetingUsers, "LEAVE": readLeave, "END": readEnd,
        "SUBSCRIBE": readSubscribe, "UNSUBSCRIBE": readUnsubscribe,
        "UNSUB_SUB": readUnsubscribeSubscribe, "RECORD_JOIN": readRecordJoin,
        "OFFER": readOffer, "ANSWER": readAnswer, "TRANSPORT": readTransport,
        "FEEDS": readFeeds, "SLOTS": readSlots, "SPEAKERS": readSpeakers, "MUTE": readMute,
        "KICK": readKick, "LOCK": readLock, "ADMIT": readAdmit, "DENY": readDeny,
        "HAND": readHand, "CHAT": readChat, "REACTION": readReaction, "QUALITY": readQuality,
        "RESUME": readResume, "MOVE": readMove,
    ]

    private static func quoted(_ text: String) -> String {
        "\"\(text.count > 40 ? text.prefix(40) + "…" : text)\""
    }
}

private let ticketBytes = 1...PacketLimits.ticketBytesMax
private let anyInteger = 0...Int(Int32.max)

private func readInit(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .initiate(
        host: try fields.string("host"),
        ticket: try fields.optionalString("ticket", bytes: ticketBytes))
}

private func readJoin(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .join(
        Join(
            accountID: try fields.string("account_id"),
            ticket: try fields.optionalString("ticket", bytes: ticketBytes),
            name: try fields.optionalString("name"),
            isWaiting: try fields.optionalBool("waiting") ?? false))
}

private func readJoinDenied(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .joinDenied(reason: try fields.optionalString("reason"))
}

private func readError(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .error(message: try fields.string("msg", bytes: 0...PacketLimits.textBytesMax))
}

private func readMeetingUsers(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .meetingUsers(
        MeetingUsers(
            users: try fields.strings("users"),
            session: try fields.optionalString("session", bytes: ticketBytes),
            host: try fields.optionalString("host"),
            names: try fields.dictionary("names"),
            isLocked: try fields.optionalBool("locked") ?? false))
}

private func readLeave(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .leave(accountID: try fields.string("account_id"))
}

private func readEnd(_ fields: PacketFields) throws(PacketError) -> PacketBody { .end }

/// The actions of one list; the same feed twice in one list is refused.
private func readActions(
    _ fields: PacketFields, _ name: String, needsBitrate: Bool
) throws(PacketError) -> [FeedRequest] {
    var requests: [FeedRequest] = []
    var seen: Set<[String]> = []
    for element in try fields.objects(name, most: PacketLimits.actionsMax) {
        let rates = 0...PacketLimits.bitrateMax
        let request = FeedRequest(
            accountID: try element.string("account_id"),
            bitrate: needsBitrate
                ? try element.integer("bitrate", in: rates)
                : try element.integer("bitrate", in: rates, default: 0),
            source: try element.optionalChoice("source", FeedSource.self) ?? .camera)
        guard seen.insert([request.accountID, request.source.rawValue]).inserted else {
            throw element.fail("account_id", "is listed twice")
        }
        requests.append(request)
    }
    return requests
}

private func checkCount(_ fields: PacketFields, _ listed: Int) throws(PacketError) {
    let said = try fields.integer("num_actions", in: anyInteger)
    guard said == listed else {
        throw fields.fail("num_actions", "is \(said), but \(listed) actions are listed")
    }
}

private func readSubscribe(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    let requests = try readActions(fields, "subscriptions", needsBitrate: true)
    try checkCount(fields, requests.count)
    return .subscribe(requests)
}

/// The requirements put the array of UNSUBSCRIBE under `num_actions`; a client that follows the
/// pattern of SUBSCRIBE puts a count there and the array under `subscriptions`. Both are read.
private func readUnsubscribe(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    if fields.isArray("num_actions") {
        return .unsubscribe(try readActions(fields, "num_actions", needsBitrate: false))
    }
    guard fields.has("subscriptions") else {
        throw fields.fail("num_actions", "must be the array of unsubscriptions")
    }
    let requests = try readActions(fields, "subscriptions", needsBitrate: false)
    if fields.has("num_actions") { try checkCount(fields, requests.count) }
    return .unsubscribe(requests)
}

private func readUnsubscribeSubscribe(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    let old = try readActions(fields, "unsubscribe", needsBitrate: false)
    let new = try readActions(fields, "subscribe", needsBitrate: true)
    try checkCount(fields, old.count + new.count)
    return .unsubscribeSubscribe(unsubscribe: old, subscribe: new)
}

private func readRecordJoin(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .recordJoin(ticket: try fields.optionalString("ticket", bytes: ticketBytes))
}

private func readOffer(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    var sources: [String: FeedSource] = [:]
    for (mid, text) in try fields.dictionary("sources") {
        guard let source = FeedSource(rawValue: text) else {
            throw fields.fail("sources.\(mid)", "must be one of: microphone, camera, screen")
        }
        sources[mid] = source
    }
    return .offer(
        Offer(
            sdp: try fields.string("sdp", bytes: 1...PacketLimits.sdpBytesMax), sources: sources))
}

private func readAnswer(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .answer(sdp: try fields.string("sdp", bytes: 1...PacketLimits.sdpBytesMax))
}

private func readTransport(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    let mode = try fields.choice("mode", TransportRequest.Mode.self)
    var streams: [TransportRequest.Stream] = []
    for element in fields.has("streams") ? try fields.objects("streams", most: 256) : [] {
        let direction = try element.string("direction")
        guard direction == "send" || direction == "receive" else {
            throw element.fail("direction", "must be one of: send, receive")
        }
        var stream = TransportRequest.Stream(
            mid: try element.string("mid"),
            kind: try element.choice("kind", MediaKind.self),
            isSending: direction == "send",
            address: try element.string("address"),
            port: try element.integer("port", in: 1...65535))
        stream.ssrc = try element.integer("ssrc", in: 0...Int(UInt32.max), default: 0)
        stream.payloadType = try element.integer("payload_type", in: 0...127, default: 0)
        stream.codec = try element.optionalString("codec") ?? ""
        streams.append(stream)
    }
    return .transport(
        TransportRequest(
            mode: mode, suite: try fields.optionalString("suite") ?? "AEAD_AES_128_GCM",
            key: try fields.optionalString("key"), streams: streams))
}

private func readFeeds(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    var feeds: [Feed] = []
    for element in try fields.objects("feeds") {
        var layers: [Feed.Layer] = []
        for layer in element.has("layers") ? try element.objects("layers", most: 64) : [] {
            layers.append(
                Feed.Layer(
                    width: try layer.integer("width", in: anyInteger, default: 0),
                    height: try layer.integer("height", in: anyInteger, default: 0),
                    fps: try layer.integer("fps", in: anyInteger, default: 0),
                    bitrate: try layer.integer("bitrate", in: anyInteger, default: 0)))
        }
        feeds.append(
            Feed(
                source: try element.choice("source", FeedSource.self),
                codec: try element.string("codec"), layers: layers,
                isMuted: try element.bool("muted")))
    }
    return .feeds(accountID: try fields.string("account_id"), feeds: feeds)
}

private func readSlots(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    var slots: [SlotState] = []
    for element in try fields.objects("slots") {
        slots.append(
            SlotState(
                mid: try element.string("mid"),
                accountID: try element.string("account_id", bytes: 0...PacketLimits.idBytesMax),
                source: try element.optionalChoice("source", FeedSource.self),
                layer: try element.optionalString("layer"),
                bitrate: try element.integer("bitrate", in: anyInteger, default: 0)))
    }
    return .slots(slots)
}

private func readSpeakers(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    var speakers: [SpeakerLevel] = []
    for element in try fields.objects("active") {
        speakers.append(
            SpeakerLevel(
                accountID: try element.string("account_id"),
                level: try element.integer("level", in: 0...127)))
    }
    return .speakers(speakers)
}

private func readMute(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    let mute = Mute(
        accountID: try fields.string("account_id"),
        kind: try fields.choice("kind", MediaKind.self),
        isMuted: try fields.bool("muted"),
        source: try fields.optionalChoice("source", FeedSource.self))
    guard mute.effectiveSource.kind == mute.kind else {
        throw fields.fail("source", "is not of the kind \(mute.kind.rawValue)")
    }
    return .mute(mute)
}

private func readKick(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .kick(accountID: try fields.string("account_id"))
}

private func readLock(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .lock(
        Lock(
            isLocked: try fields.bool("locked"),
            hasWaitingRoom: try fields.optionalBool("waiting_room")))
}

private func readAdmit(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .admit(accountID: try fields.string("account_id"))
}

private func readDeny(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .deny(accountID: try fields.string("account_id"))
}

private func readHand(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .hand(
        Hand(
            accountID: try fields.optionalString("account_id", bytes: 1...PacketLimits.idBytesMax),
            isRaised: try fields.bool("raised")))
}

private func readChat(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .chat(
        Chat(
            accountID: try fields.optionalString("account_id", bytes: 1...PacketLimits.idBytesMax),
            to: try fields.optionalString("to", bytes: 1...PacketLimits.idBytesMax),
            text: try fields.string("text", bytes: 1...PacketLimits.chatBytesMax)))
}

private func readReaction(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .reaction(
        Reaction(
            accountID: try fields.optionalString("account_id", bytes: 1...PacketLimits.idBytesMax),
            reaction: try fields.string("reaction", bytes: 1...64)))
}

private func readQuality(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    var held: [Quality.Held] = []
    for element in fields.has("held") ? try fields.objects("held") : [] {
        held.append(
            Quality.Held(
                accountID: try element.string("account_id"),
                source: try element.choice("source", FeedSource.self),
                wanted: try element.integer("wanted", in: anyInteger),
                given: try element.integer("given", in: anyInteger),
                reason: try element.string("reason", bytes: 0...PacketLimits.textBytesMax)))
    }
    return .quality(
        Quality(
            downlink: try fields.integer("downlink", in: 0...Int(Int64.max / 2)),
            loss: try fields.number("loss", in: 0...1), held: held))
}

private func readResume(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .resume(session: try fields.string("session", bytes: ticketBytes))
}

private func readMove(_ fields: PacketFields) throws(PacketError) -> PacketBody {
    .move(
        server: try fields.string("server", bytes: 1...PacketLimits.textBytesMax),
        ticket: try fields.string("ticket", bytes: ticketBytes))
}

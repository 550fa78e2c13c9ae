// Tickets as sessions see them.
// SPDX-License-Identifier: Apache-2.0

public import Signaling

/// Why a ticket is no good.
public enum TicketRefusal: Error, Sendable, Equatable {
    case invalid, expired

    var denial: DenialReason { self == .expired ? .ticketExpired : .ticketInvalid }
}

/// A ticket whose signature and time are right.
public struct CheckedTicket: Sendable, Equatable {
    public var claims: TicketClaims
    /// The node that the meeting was assigned to: its id or address; "" for any.
    public var node: String

    public init(claims: TicketClaims, node: String) {
        self.claims = claims
        self.node = node
    }
}

/// Checks tickets without asking any service.
public protocol TicketChecking: Sendable {
    func check(_ token: String) async throws(TicketRefusal) -> CheckedTicket
}

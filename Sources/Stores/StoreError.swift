// What can go wrong in any store.
// SPDX-License-Identifier: Apache-2.0

/// Errors of all stores. What the database itself said is kept as text for the log.
public enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The e-mail address belongs to another account.
    case emailTaken
    /// A record with this id exists already.
    case duplicate
    /// The record is not there.
    case unknown
    /// The database cannot be reached or refused; nothing is known about the effect of the call.
    case unavailable(String)

    public var description: String {
        switch self {
        case .emailTaken: "the e-mail address is taken"
        case .duplicate: "the record exists already"
        case .unknown: "no such record"
        case .unavailable(let reason): "the database is not available: \(reason)"
        }
    }
}

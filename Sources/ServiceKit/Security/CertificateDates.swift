// How long a certificate file is valid.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import SwiftASN1
import X509

/// The validity of the first certificate of a PEM file.
public struct CertificateDates: Sendable, Equatable {
    /// Seconds since 1970.
    public let notBefore: Int64
    public let notAfter: Int64

    /// Throws when the file cannot be read or holds no certificate.
    public init(pemFile path: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let documents = try PEMDocument.parseMultiple(pemString: text)
        guard let first = documents.first(where: { $0.discriminator == "CERTIFICATE" }) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        let certificate = try Certificate(pemDocument: first)
        notBefore = Int64(certificate.notValidBefore.timeIntervalSince1970)
        notAfter = Int64(certificate.notValidAfter.timeIntervalSince1970)
    }
}

// A certificate for trying things out in a local network.
// SPDX-License-Identifier: Apache-2.0
import Crypto
public import Foundation
import SwiftASN1
import X509

/// A certificate and its key, both in PEM.
public struct CertificateFiles: Sendable, Equatable {
    public let certificate: String
    public let key: String

    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

public enum SelfSigned {
    /// Days for which a certificate is valid; browsers refuse more than 825.
    static let days = 397

    /// Makes a self-signed P-256 certificate for the names and IP addresses.
    public static func make(names: [String], now: Date = Date()) throws -> CertificateFiles {
        let key = P256.Signing.PrivateKey()
        let subject = try DistinguishedName { CommonName("Roundhouse self-signed") }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey), notValidBefore: now.addingTimeInterval(-3600),
            notValidAfter: now.addingTimeInterval(Double(days) * 86400), issuer: subject,
            subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names.map(generalName))
            }, issuerPrivateKey: .init(key))
        return CertificateFiles(
            certificate: try certificate.serializeAsPEM().pemString,
            key: key.pemRepresentation)
    }

    private static func generalName(_ name: String) -> GeneralName {
        if let bytes = addressBytes(name) {
            return .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
        }
        return .dnsName(name)
    }

    private static func addressBytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, text, &six) == 1 { return withUnsafeBytes(of: &six) { Array($0) } }
        return nil
    }

    /// The files in `folder`, made anew when they are missing or older than their validity.
    public static func loadOrCreate(folder: String, names: [String]) throws -> CertificateFiles {
        let files = CertificateFiles(
            certificate: folder + "/self-signed.pem", key: folder + "/self-signed.key")
        let manager = FileManager.default
        if let attributes = try? manager.attributesOfItem(atPath: files.certificate),
            let written = attributes[.modificationDate] as? Date,
            written.timeIntervalSinceNow > -Double(days - 30) * 86400,
            (try? String(contentsOfFile: folder + "/self-signed.names", encoding: .utf8))
                == names.joined(separator: "\n"),
            manager.fileExists(atPath: files.key) {
            return files
        }
        for path in [files.certificate, files.key] { try? manager.removeItem(atPath: path) }
        let made = try make(names: names)
        _ = try KeyFile.create(files.key, made.key)
        _ = try KeyFile.create(files.certificate, made.certificate)
        try names.joined(separator: "\n")
            .write(toFile: folder + "/self-signed.names", atomically: true, encoding: .utf8)
        return files
    }
}

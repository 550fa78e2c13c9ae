// swift-tools-version: 6.2
// Roundhouse. SPDX-License-Identifier: Apache-2.0
//
// Targets depend only to the right:
//   roundhouse -> services -> Routing -> {Signaling, MediaPlane} -> CRouter
//   services -> Stores
//
// ROUNDHOUSE_TARGETS="A B" keeps only the named targets (and the packages they use): the
// sanitizer runs of the media plane build in seconds instead of minutes with it.
import Foundation
import PackageDescription

/// Intel's multi-buffer cipher library is a static archive for x86-64 without pkg-config data.
let ipsecMb: [LinkerSetting] =
    FileManager.default.fileExists(atPath: "/usr/include/intel-ipsec-mb.h")
    ? [.linkedLibrary("IPSec_MB")] : []

let hotPath: [CSetting] = [
    .unsafeFlags(["-std=c2x", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]),
    .unsafeFlags(["-O3"], .when(configuration: .release)),
    .unsafeFlags(["-O1"], .when(configuration: .debug)),
]

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")

let system: [Target] = [
    .systemLibrary(
        name: "CUV",
        path: "CSources/CUV",
        pkgConfig: "libuv",
        providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(
        name: "COpenSSL",
        path: "CSources/COpenSSL",
        pkgConfig: "libssl libcrypto",
        providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CVPX",
        path: "CSources/CVPX",
        pkgConfig: "vpx",
        providers: [.apt(["libvpx-dev"])]),
    .systemLibrary(
        name: "COpus",
        path: "CSources/COpus",
        pkgConfig: "opus",
        providers: [.apt(["libopus-dev"])]),
    .systemLibrary(
        name: "CArgon2",
        path: "CSources/CArgon2",
        pkgConfig: "libargon2",
        providers: [.apt(["libargon2-dev"])]),
]

let core: [Target] = [
    .target(
        name: "CRouter", dependencies: ["CUV", "COpenSSL"], path: "CSources/CRouter",
        publicHeadersPath: "include", cSettings: hotPath + [.headerSearchPath(".")],
        linkerSettings: ipsecMb),
    .target(
        name: "CDTLS", dependencies: ["COpenSSL"], path: "CSources/CDTLS",
        publicHeadersPath: "include", cSettings: hotPath),
    .target(
        name: "CMedia", dependencies: ["CVPX", "COpus"], path: "CSources/CMedia",
        publicHeadersPath: "include", cSettings: hotPath),
    .target(
        name: "CLoad", dependencies: ["CRouter", "CMedia"], path: "CSources/CLoad",
        publicHeadersPath: "include",
        cSettings: hotPath + [.headerSearchPath("../CRouter")]),
    .target(name: "MediaPlane", dependencies: ["CRouter", "CDTLS", logging], swiftSettings: strict),
    .target(name: "Signaling", swiftSettings: strict),
    .testTarget(name: "MediaPlaneTests", dependencies: ["MediaPlane"], swiftSettings: strict),
    .testTarget(
        name: "SignalingTests", dependencies: ["Signaling"], swiftSettings: strict),
]

let services: [Target] = [
    .target(
        name: "CDocuments", path: "CSources/CDocuments", publicHeadersPath: "include",
        cSettings: hotPath),
    .target(
        name: "ServiceKit",
        dependencies: [
            "CDocuments", hummingbird, logging, metrics, lifecycle, httpClient,
            .product(name: "HummingbirdTLS", package: "hummingbird"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOWebSocket", package: "swift-nio"),
            .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "JWTKit", package: "jwt-kit"),
            .product(name: "X509", package: "swift-certificates"),
            .product(name: "Yams", package: "Yams"),
            .product(name: "SwiftASN1", package: "swift-asn1"),
        ], swiftSettings: strict),
    .target(
        name: "Stores", dependencies: [logging, .product(name: "GRDB", package: "GRDB.swift")],
        swiftSettings: strict),
    .target(
        name: "Routing",
        dependencies: [
            "Signaling", "MediaPlane", "ServiceKit", hummingbird, logging, metrics, lifecycle,
            httpClient,
        ],
        swiftSettings: strict),
    .target(
        name: "Accounts",
        dependencies: [
            "ServiceKit", "Stores", "CArgon2", hummingbird,
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "Crypto", package: "swift-crypto"),
        ], swiftSettings: strict),
    .target(
        name: "Meetings",
        dependencies: [
            "ServiceKit", "Stores", hummingbird, lifecycle, logging, httpClient,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "JWTKit", package: "jwt-kit"),
        ], swiftSettings: strict),
    .target(
        name: "Gateway",
        dependencies: [
            "ServiceKit", hummingbird, httpClient,
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
        ], swiftSettings: strict),
    .target(
        name: "LoadTool",
        dependencies: [
            "CLoad", "CMedia", "CDTLS", "MediaPlane", "Signaling", "ServiceKit", httpClient,
            logging,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOWebSocket", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ], swiftSettings: strict),
    .testTarget(
        name: "LoadToolTests", dependencies: ["LoadTool"], swiftSettings: strict),
    .executableTarget(
        name: "roundhouse",
        dependencies: [
            "LoadTool", "Accounts", "Meetings", "Gateway", "Routing", "MediaPlane", "Stores",
            "ServiceKit", hummingbird, httpClient, lifecycle, logging, metrics,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "JWTKit", package: "jwt-kit"),
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Yams", package: "Yams"),
        ], swiftSettings: strict),
    .testTarget(
        name: "ServiceKitTests",
        dependencies: [
            "ServiceKit", hummingbird, lifecycle, .product(name: "NIOPosix", package: "swift-nio"),
        ], swiftSettings: strict),
    .testTarget(name: "StoresTests", dependencies: ["Stores"], swiftSettings: strict),
    .testTarget(
        name: "AccountsTests",
        dependencies: [
            "Accounts",
            .product(name: "HummingbirdTesting", package: "hummingbird"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "MeetingsTests",
        dependencies: [
            "Meetings",
            .product(name: "HummingbirdTesting", package: "hummingbird"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "GatewayTests",
        dependencies: [
            "Gateway",
            .product(name: "HummingbirdTesting", package: "hummingbird"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "RoutingTests",
        dependencies: [
            "Routing",
            .product(name: "HummingbirdTesting", package: "hummingbird"),
        ],
        swiftSettings: strict),
]

let chosen = Context.environment["ROUNDHOUSE_TARGETS"].map {
    Set($0.split(separator: " ").map(String.init))
}
let targets = (system + core + services).filter { chosen?.contains($0.name) ?? true }
let wantsServices = targets.contains { target in services.contains { $0.name == target.name } }
let wantsLogging = targets.contains { $0.name == "MediaPlane" }

var dependencies: [Package.Dependency] = []
if wantsLogging || wantsServices {
    dependencies.append(.package(url: "https://github.com/apple/swift-log", from: "1.16.2"))
}
if wantsServices {
    dependencies += [
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ]
}

let package = Package(
    name: "roundhouse", platforms: [.macOS(.v26)], dependencies: dependencies, targets: targets,
    swiftLanguageModes: [.v6])

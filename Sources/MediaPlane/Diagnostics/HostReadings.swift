// What the doctor looks at: a machine and the settings of a node on it, as values.
// SPDX-License-Identifier: Apache-2.0

public struct HostReadings: Sendable {
    public struct SocketBuffers: Sendable {
        public var wantedBytes: UInt64 = 0
        /// Granted by the kernel.
        public var receiveBytes: UInt64 = 0
        public var sendBytes: UInt64 = 0
        public init() {}
    }

    /// The outcome of trying a socket option on loopback.
    public enum Trial: Sendable, Equatable {
        case works
        /// errno
        case refused(Int32)
        /// It was granted and did something else.
        case wrong(String)
    }

    public struct Interface: Sendable {
        public var name: String
        public var isUp: Bool
        public var isLoopback: Bool
        /// `tx-udp-segmentation` is on; nil: not told.
        public var hasUdpSegmentation: Bool?
        public init(
            name: String, isUp: Bool, isLoopback: Bool, hasUdpSegmentation: Bool? = nil
        ) {
            self.name = name
            self.isUp = isUp
            self.isLoopback = isLoopback
            self.hasUdpSegmentation = hasUdpSegmentation
        }
    }

    public struct Port: Sendable {
        /// "TCP" or "UDP".
        public var transport: String
        public var port: UInt16
        /// errno of binding it; 0: it is free.
        public var code: Int32
        public init(transport: String, port: UInt16, code: Int32) {
            self.transport = transport
            self.port = port
            self.code = code
        }
    }

    public struct Folder: Sendable {
        public var path = ""
        /// nil: it can be written.
        public var error: String?
        public var freeBytes: UInt64 = 0
        public init() {}
    }

    public struct Certificate: Sendable {
        public var path: String
        /// Seconds since 1970.
        public var notBefore: Int64 = 0
        public var notAfter: Int64 = 0
        /// Why it cannot be read or used.
        public var error: String?
        public init(path: String) { self.path = path }
    }

    // Settings.
    public var capacity = 1000
    public var workers = 1
    public var announced: [IPAddress] = []
    /// HTTP and media on a loopback address alone.
    public var isLoopbackOnly = false

    // The machine.
    public var socketBuffers = SocketBuffers()
    public var descriptorsSoft: UInt64 = 0
    public var descriptorsHard: UInt64 = 0
    public var segmentation = Trial.works
    public var coalescing = Trial.works
    public var interfaces: [Interface] = []
    /// Addresses of the machine but loopback and link-local ones.
    public var addresses: [IPAddress] = []
    /// Whose cloud the machine is in, if it tells.
    public var cloud: String?
    public var cipher = ""
    public var processorFeatures: Set<String> = []
    public var cores = 1
    /// Cores' worth of time that the control group grants; nil: no limit.
    public var processorQuota: Double?
    public var clockSource: String?
    /// nil: not told.
    public var isClockSynchronised: Bool?
    public var kernel = KernelCounters()
    public var ports: [Port] = []
    public var dataFolder = Folder()
    /// nil: the node speaks without TLS.
    public var certificate: Certificate?
    /// Now, seconds since 1970.
    public var epochSeconds: Int64 = 0

    public init() {}
}

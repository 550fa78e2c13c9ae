// Readings of the machine. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct KernelCountersTests {
    private static let snmp = """
        Ip: Forwarding DefaultTTL InReceives
        Ip: 1 64 900
        Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
        Udp: 4903947 3954 21 4911500 17 4 0
        UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
        UdpLite: 1 2 3 4 5 6 7
        """
    private static let snmp6 = """
        Ip6InReceives                   \t12
        Udp6InErrors                    \t6
        Udp6RcvbufErrors                \t5
        Udp6SndbufErrors                \t1
        """
    private static let softnet = """
        00416331 0000000a 00000042 00000000 00000000
        0043170b 00000001 00000030 00000000 00000000
        """

    @Test func whatTheKernelLostIsRead() {
        let counters = KernelCounters(
            snmp: Self.snmp, snmp6: Self.snmp6, softnet: Self.softnet)
        #expect(counters.v4.receiveBufferErrors == 17)
        #expect(counters.v4.sendBufferErrors == 4)
        #expect(counters.v4.inErrors == 21)
        #expect(counters.v6.receiveBufferErrors == 5)
        #expect(counters.v6.sendBufferErrors == 1)
        #expect(counters.v6.inErrors == 6)
        #expect(counters.softnetDropped == 11)
        #expect(counters.softnetSqueezed == 0x72)
    }

    @Test func everyPrefixOfTheFilesIsHarmless() {
        for text in [Self.snmp, Self.snmp6, Self.softnet] {
            for count in 0...text.count {
                let part = String(text.prefix(count))
                _ = KernelCounters(snmp: part, snmp6: part, softnet: part)
            }
        }
        #expect(KernelCounters(snmp: "Udp: a\nUdp: -1", snmp6: "x", softnet: "zz zz zz")
            == KernelCounters())
    }

    @Test func thisMachineAndProcessCanBeRead() {
        let process = ProcessReadings.read()
        #expect(process.residentBytes > 1 << 20)
        #expect(process.descriptorsMax > 0)
        #expect(process.openDescriptors > 0)
        #expect(process.cpuSeconds > 0)
        _ = KernelCounters.read()
    }
}

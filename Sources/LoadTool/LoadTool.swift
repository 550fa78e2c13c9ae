// Load tests with synthetic participants. SPDX-License-Identifier: Apache-2.0
//
//   Plan/       what a run does, and which feeds a participant takes
//   Control/    the system's interface: accounts, meetings, sockets, session descriptions
//   Transport/  ICE, DTLS and the C packet loops (CSources/CLoad)
//   Media/      encoded pictures and sound (CSources/CMedia)
//   Run/        the course of a run, samples of it, the server's processes
//   Report/     verdict, text, JSON, HTML

package import Signaling

// MediaPlane has types of these names too; the load tool speaks of them as signalling does.
package typealias MediaKind = Signaling.MediaKind
package typealias MediaCodec = Signaling.MediaCodec

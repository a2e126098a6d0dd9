package import NIOCore
import Synchronization

/// What a handler and the interceptors know of the call they serve, and what they may say beside its messages.
///
/// One object per call, shared by the interceptors and the handler.
package final class ServerContext: Sendable {
  /// `/package.Service/Method`, exactly as it was routed.
  package let path: String
  /// Custom metadata of the request; names that the protocol reserves are not in it.
  package let requestMetadata: Metadata
  /// When the caller stops waiting; `nil` when it gave no timeout. Monotonic.
  package let deadline: NIODeadline?
  package let peer: Peer
  /// `:authority` (or `host`) of the request.
  package let authority: String

  private struct State {
    var initialMetadata = Metadata()
    var trailingMetadata = Metadata()
    var values: [ObjectIdentifier: any Sendable] = [:]
    var responseCompression = ResponseCompression()
    var isRequestCompressed = false
  }
  private let state: Mutex<State>
  private let received = Atomic<Int>(0)
  private let sent = Atomic<Int>(0)

  package init(
    path: String, requestMetadata: Metadata, deadline: NIODeadline?, peer: Peer, authority: String
  ) {
    self.path = path
    self.requestMetadata = requestMetadata
    self.deadline = deadline
    self.peer = peer
    self.authority = authority
    self.state = Mutex(State())
  }

  /// Sent before the first message (or with the trailers, when there is none). Later changes have no effect.
  package var initialMetadata: Metadata {
    get { state.withLock { $0.initialMetadata } }
    set { state.withLock { $0.initialMetadata = newValue } }
  }

  /// Sent with the status, also when the call fails.
  package var trailingMetadata: Metadata {
    get { state.withLock { $0.trailingMetadata } }
    set { state.withLock { $0.trailingMetadata = newValue } }
  }

  /// How the response's messages are compressed. See ``ResponseCompression``.
  package var responseCompression: ResponseCompression {
    get { state.withLock { $0.responseCompression } }
    set { state.withLock { $0.responseCompression = newValue } }
  }

  /// Whether the request message that was taken last came compressed. Set by the runtime.
  package var isRequestCompressed: Bool {
    get { state.withLock { $0.isRequestCompressed } }
    set { state.withLock { $0.isRequestCompressed = newValue } }
  }

  /// Bytes of the request's messages that the handler was given so far, as they travel: compressed, without prefixes.
  package var receivedMessageBytes: Int { received.load(ordering: .relaxed) }
  /// Bytes of the messages that the handler answered so far, as they travel.
  package var sentMessageBytes: Int { sent.load(ordering: .relaxed) }

  /// Called by the runtime, as ``countSent(_:)``.
  package func countReceived(_ bytes: Int) { received.wrappingAdd(bytes, ordering: .relaxed) }
  package func countSent(_ bytes: Int) { sent.wrappingAdd(bytes, ordering: .relaxed) }

  /// A value that an interceptor leaves for those inside it, such as the authenticated principal.
  package subscript<Key: ServerContextKey>(key: Key.Type) -> Key.Value? {
    get { state.withLock { $0.values[ObjectIdentifier(key)] as? Key.Value } }
    set { state.withLock { $0.values[ObjectIdentifier(key)] = newValue } }
  }
}

/// What a handler wants of the compression of its response. Whatever it wants, a caller gets only an encoding that it
/// lists (W21), and short messages go out as they are.
package struct ResponseCompression: Sendable, Hashable {
  /// `nil`: what the server is configured for. Without effect once the response's headers are sent.
  package var encoding: MessageEncoding?
  /// Off for messages that are compressed already, or that hold secrets beside text of somebody else. Holds for the
  /// messages sent from then on.
  package var isOn = true

  package init(encoding: MessageEncoding? = nil, isOn: Bool = true) {
    self.encoding = encoding
    self.isOn = isOn
  }
}

package protocol ServerContextKey {
  associatedtype Value: Sendable
}

/// The other end of a connection.
package struct Peer: Sendable, Hashable {
  /// `ipv4:127.0.0.1:50412`, `ipv6:[::1]:50412`, `unix:/path` or `in-process`.
  package var address: String
  /// What its verified TLS certificate says; `nil` in plaintext or when it showed none.
  package var certificate: PeerCertificate?

  package init(address: String, certificate: PeerCertificate? = nil) {
    self.address = address
    self.certificate = certificate
  }
}

/// The identity in a peer's verified certificate.
package struct PeerCertificate: Sendable, Hashable {
  /// The URIs of its subject alternative names, such as `spiffe://clinicavoice/service/appointment-service`.
  package var uris: [String]
  package var dnsNames: [String]

  package init(uris: [String], dnsNames: [String]) {
    self.uris = uris
    self.dnsNames = dnsNames
  }
}

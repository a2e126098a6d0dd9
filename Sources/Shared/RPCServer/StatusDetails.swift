internal import RPC

/// The bytes of `grpc-status-details-bin` (W32).
enum StatusDetails {
  static func serialized(_ error: RPCError) -> [UInt8]? { nil }
}

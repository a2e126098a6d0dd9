/// An enum of the contract: open, because a peer may know values that this build does not.
package protocol ProtobufEnum: RawRepresentable, Hashable, Sendable, CustomStringConvertible where RawValue == Int32 {
  init(rawValue: Int32)

  /// Every value that the contract names, in its order.
  static var allKnown: [Self] { get }

  /// The name in the contract; `nil` for a number that it does not name.
  var protoName: String? { get }
}

extension ProtobufEnum {
  /// Whether the contract names this value.
  package var isKnown: Bool { protoName != nil }

  package var description: String { protoName ?? String(rawValue) }

  /// The value that the contract calls `protoName`.
  package init?(protoName: String) {
    guard let value = Self.allKnown.first(where: { $0.protoName == protoName }) else { return nil }
    self = value
  }
}

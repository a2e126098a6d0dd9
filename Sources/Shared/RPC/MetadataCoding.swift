extension Metadata {
  /// The custom metadata of a header block: everything that neither HTTP/2 nor gRPC gives a meaning to.
  ///
  /// Values of `-bin` names are split at commas and decoded, padded or not (W15). Other values that are not printable
  /// ASCII are dropped (W13): they are legal in HTTP and no reason to fail a call.
  ///
  /// - Throws: `INTERNAL` when a `-bin` value is not base64: that ends the call, not the connection.
  package init(_ fields: HeaderFields) throws(RPCError) {
    self.init()
    reserveCapacity(fields.fields.count(where: { $0.token.isCustom }))
    for field in fields.fields where field.token.isCustom {
      if fields.name(of: field, hasPrefix: "grpc-") { continue }
      let value = fields.valueBytes(of: field)
      guard fields.name(of: field, hasSuffix: "-bin") else {
        if value.allSatisfy(Self.isPrintable) { add(fields.value(of: field), for: fields.name(of: field)) }
        continue
      }
      for part in value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
        guard let bytes = Base64.decode(part.trimmingSpaces) else {
          throw RPCError(.internal, "The metadata value of \(fields.name(of: field)) is not base64.")
        }
        add(.binary(bytes), for: fields.name(of: field))
      }
    }
  }

  fileprivate static func isPrintable(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) }
}

extension HeaderFields {
  /// Appends custom metadata as header fields.
  ///
  /// - Throws: `INTERNAL` for a name that is not legal (W13) or is reserved (W14), and for a value that does not suit its
  ///   name.
  package mutating func append(_ metadata: Metadata) throws(RPCError) {
    for entry in metadata.entries {
      guard Self.isLegalCustomName(entry.name) else {
        throw RPCError(.internal, "The metadata name \"\(entry.name)\" is illegal or reserved.")
      }
      switch entry.value {
      case .ascii(let text):
        guard !entry.name.utf8.hasBinarySuffix, text.utf8.allSatisfy(Metadata.isPrintable) else {
          throw RPCError(.internal, "The metadata value of \(entry.name) is not printable ASCII.")
        }
        append(entry.name, text)
      case .binary(let bytes):
        guard entry.name.utf8.hasBinarySuffix else {
          throw RPCError(.internal, "The metadata name \(entry.name) needs the suffix -bin to hold bytes.")
        }
        append(entry.name, Base64.encode(bytes))
      }
    }
  }

  private static let namesOfTheRuntime: Set<String> = [
    "te", "host", "content-type", "user-agent", "connection", "keep-alive", "proxy-connection", "transfer-encoding",
    "upgrade", "content-length",
  ]

  private static func isLegalCustomName(_ name: String) -> Bool {
    guard !name.isEmpty, !name.hasPrefix("grpc-"), !namesOfTheRuntime.contains(name) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
      case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
      default: false
      }
    }
  }
}

extension BidirectionalCollection<UInt8> {
  fileprivate var hasBinarySuffix: Bool { count > 4 && suffix(4).elementsEqual("-bin".utf8) }

  fileprivate var trimmingSpaces: SubSequence {
    var part = self[...]
    while part.first == UInt8(ascii: " ") { part.removeFirst() }
    while part.last == UInt8(ascii: " ") { part.removeLast() }
    return part
  }
}

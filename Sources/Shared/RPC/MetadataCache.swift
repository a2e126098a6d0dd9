/// What the last request of a connection said as authority and as custom metadata.
///
/// A client says the same in call after call, its user agent and its token, so most calls need no new strings. What it
/// holds is bounded by ``maxBytes`` beside the strings themselves.
package struct MetadataCache: Sendable {
  /// Names and values of the custom fields, one after the other.
  private var bytes: [UInt8] = []
  private var lengths: [(name: Int, value: Int)] = []
  private var metadata = Metadata()
  private var authority = ""

  /// Metadata that is larger than this is read anew each time.
  private static let maxBytes = 2048

  package init() {}

  /// The value of `field` as a string.
  mutating func authority(_ field: HeaderFields.Field, of fields: HeaderFields) -> String {
    if !fields.withValue(of: field, { $0.elementsEqual(authority.utf8) }) { authority = fields.value(of: field) }
    return authority
  }

  /// The custom metadata of a block.
  ///
  /// - Throws: as ``Metadata/init(_:)``.
  mutating func metadata(of fields: HeaderFields) throws(RPCError) -> Metadata {
    if holds(fields) { return metadata }
    metadata = Metadata()
    bytes.removeAll(keepingCapacity: true)
    lengths.removeAll(keepingCapacity: true)
    let read = try Metadata(fields)
    for field in fields.fields where field.token.isCustom {
      bytes += fields.nameBytes(of: field)
      bytes += fields.valueBytes(of: field)
      lengths.append((fields.nameRange(of: field).count, fields.valueRange(of: field).count))
    }
    if bytes.count <= Self.maxBytes {
      metadata = read
    } else {
      bytes = []
      lengths = []
    }
    return read
  }

  /// Whether the custom fields of a block are, byte for byte, those that were read last.
  private func holds(_ fields: HeaderFields) -> Bool {
    fields.bytes.withUnsafeBufferPointer { new in
      bytes.withUnsafeBufferPointer { old in
        var (position, index) = (0, 0)
        for field in fields.fields where field.token.isCustom {
          let (name, value) = (fields.nameRange(of: field), fields.valueRange(of: field))
          guard index < lengths.count, lengths[index] == (name.count, value.count) else { return false }
          for offset in name {
            if new[offset] != old[position] { return false }
            position += 1
          }
          for offset in value {
            if new[offset] != old[position] { return false }
            position += 1
          }
          index += 1
        }
        return index == lengths.count
      }
    }
  }
}

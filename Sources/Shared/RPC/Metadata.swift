/// gRPC metadata: an ordered multi-map from lower-case names to ASCII or binary values.
///
/// Names ending in `-bin` hold bytes (base64 on the wire, handled by the runtime); all others hold printable ASCII.
/// Duplicates keep their order. Source: WIRE W13–W15.
package struct Metadata: Sendable, Hashable {
  package enum Value: Sendable, Hashable {
    case ascii(String)
    case binary([UInt8])
  }

  package private(set) var entries: [(name: String, value: Value)]

  package init() { entries = [] }

  mutating func reserveCapacity(_ count: Int) { entries.reserveCapacity(count) }

  package var isEmpty: Bool { entries.isEmpty }
  package var count: Int { entries.count }

  /// Appends a value. `name` must be lower-case and legal for the kind of value; the runtime checks on sending.
  package mutating func add(_ value: Value, for name: String) { entries.append((name, value)) }
  package mutating func add(_ value: String, for name: String) { entries.append((name, .ascii(value))) }

  /// Replaces all values of `name` by one.
  package mutating func set(_ value: Value, for name: String) {
    removeAll(named: name)
    entries.append((name, value))
  }
  package mutating func set(_ value: String, for name: String) { set(.ascii(value), for: name) }

  package mutating func removeAll(named name: String) { entries.removeAll { $0.name == name } }

  /// The first ASCII value of `name`.
  package subscript(name: String) -> String? {
    for entry in entries where entry.name == name {
      if case .ascii(let value) = entry.value { return value }
    }
    return nil
  }

  /// The first binary value of `name`.
  package subscript(binary name: String) -> [UInt8]? {
    for entry in entries where entry.name == name {
      if case .binary(let value) = entry.value { return value }
    }
    return nil
  }

  package func values(for name: String) -> [Value] {
    entries.lazy.filter { $0.name == name }.map(\.value)
  }

  package static func == (lhs: Metadata, rhs: Metadata) -> Bool {
    lhs.entries.elementsEqual(rhs.entries) { $0.name == $1.name && $0.value == $1.value }
  }

  package func hash(into hasher: inout Hasher) {
    for entry in entries {
      hasher.combine(entry.name)
      hasher.combine(entry.value)
    }
  }
}

extension Metadata: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, Value)...) {
    entries = elements.map { ($0, $1) }
  }
}

extension Metadata.Value: ExpressibleByStringLiteral {
  package init(stringLiteral value: String) { self = .ascii(value) }
}

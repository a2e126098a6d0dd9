/// An attribute's value, in DynamoDB's data model.
///
/// Equality is that of the stored bytes: two strings that Swift calls equal because they are canonically equivalent
/// (an `é` of one scalar and one of two) are different values here, as they are in every engine.
package enum AttributeValue: Sendable {
  /// S. UTF-8; compared bytewise.
  case string(String)
  /// N. The model uses whole numbers only; they sort numerically.
  case number(Int64)
  /// B.
  case binary([UInt8])
  /// BOOL.
  case bool(Bool)
  /// NULL.
  case null
  /// L.
  case list([AttributeValue])
  /// M.
  case map([String: AttributeValue])
}

/// One item of a table: its attributes by name.
package typealias Item = [String: AttributeValue]

/// The primary key of an item: its partition key and sort key, whose names the table's schema gives.
///
/// Equal only if the UTF-8 bytes are, see ``AttributeValue``.
package struct ItemKey: Sendable {
  package var partition: String
  package var sort: String

  package init(_ partition: String, _ sort: String) {
    self.partition = partition
    self.sort = sort
  }
}

extension ItemKey: Hashable {
  package static func == (left: ItemKey, right: ItemKey) -> Bool {
    left.partition.hasSameBytes(as: right.partition) && left.sort.hasSameBytes(as: right.sort)
  }

  package func hash(into hasher: inout Hasher) {
    partition.hashBytes(into: &hasher)
    sort.hashBytes(into: &hasher)
  }
}

extension AttributeValue: Hashable {
  package static func == (left: AttributeValue, right: AttributeValue) -> Bool {
    switch (left, right) {
    case (.string(let left), .string(let right)): left.hasSameBytes(as: right)
    case (.number(let left), .number(let right)): left == right
    case (.binary(let left), .binary(let right)): left == right
    case (.bool(let left), .bool(let right)): left == right
    case (.null, .null): true
    case (.list(let left), .list(let right)): left == right
    case (.map(let left), .map(let right)): left == right
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .string(let value): value.hashBytes(into: &hasher)
    case .number(let value): hasher.combine(value)
    case .binary(let value): hasher.combine(value)
    case .bool(let value): hasher.combine(value)
    case .null: hasher.combine(0)
    case .list(let values): hasher.combine(values)
    case .map(let values): hasher.combine(values)
    }
  }
}

extension AttributeValue {
  package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  package var numberValue: Int64? { if case .number(let value) = self { value } else { nil } }
  package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  package var binaryValue: [UInt8]? { if case .binary(let value) = self { value } else { nil } }
  package var listValue: [AttributeValue]? { if case .list(let value) = self { value } else { nil } }
  package var mapValue: Item? { if case .map(let value) = self { value } else { nil } }
}

extension AttributeValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .number(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension [String: AttributeValue] {
  /// The item's size as DynamoDB counts it: UTF-8 bytes of names and values, 1 + 3 per nested container and 1 per
  /// nested element, numbers as one byte for each two digits plus one.
  package var byteCount: Int { reduce(0) { $0 + $1.key.utf8.count + $1.value.byteCount } }
}

extension AttributeValue {
  fileprivate var byteCount: Int {
    switch self {
    case .string(let value): value.utf8.count
    case .number(let value): (String(value.magnitude).utf8.count + 1) / 2 + 1 + (value < 0 ? 1 : 0)
    case .binary(let value): value.count
    case .bool, .null: 1
    case .list(let values): values.reduce(3) { $0 + $1.byteCount + 1 }
    case .map(let values): values.reduce(3) { $0 + $1.key.utf8.count + $1.value.byteCount + 1 }
    }
  }
}

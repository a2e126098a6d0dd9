/// A condition expression on one item: what a write expects to find. An absent item has no attributes.
///
/// Attributes are top-level names. A comparison with an absent attribute, or with one of another type, is false.
package indirect enum Condition: Sendable, Hashable {
  case exists(String)
  case notExists(String)
  case equals(String, AttributeValue)
  case notEquals(String, AttributeValue)
  case lessThan(String, AttributeValue)
  case greaterThan(String, AttributeValue)
  case and([Condition])
  case or([Condition])
  case not(Condition)
}

extension Condition {
  /// Whether it holds for `item`; `nil` stands for no item.
  package func holds(for item: Item?) -> Bool {
    switch self {
    case .exists(let name): item?[name] != nil
    case .notExists(let name): item?[name] == nil
    case .equals(let name, let value): item?[name] == value
    case .notEquals(let name, let value): item?[name].map { $0 != value } ?? false
    case .lessThan(let name, let value): item?[name].map { $0.precedes(value) } ?? false
    case .greaterThan(let name, let value): item?[name].map { value.precedes($0) } ?? false
    case .and(let conditions): conditions.allSatisfy { $0.holds(for: item) }
    case .or(let conditions): conditions.contains { $0.holds(for: item) }
    case .not(let condition): !condition.holds(for: item)
    }
  }
}

extension AttributeValue {
  /// Whether it sorts before `other`: strings by their UTF-8 bytes, numbers by value, other types never.
  fileprivate func precedes(_ other: AttributeValue) -> Bool {
    switch (self, other) {
    case (.string(let left), .string(let right)): left.precedesBytewise(right)
    case (.number(let left), .number(let right)): left < right
    default: false
    }
  }
}

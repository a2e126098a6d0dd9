internal import CivilTime
internal import Storage

/// Reads the attributes of a stored item; what is not as it was written is corrupt.
///
/// Errors name the attribute, never its value.
struct ItemReader {
  let item: Item

  init(_ item: Item) { self.item = item }

  func string(_ name: String) throws(StoreError) -> String { try require(item[name]?.stringValue, name) }
  func number(_ name: String) throws(StoreError) -> Int64 { try require(item[name]?.numberValue, name) }

  func optionalString(_ name: String) throws(StoreError) -> String? {
    switch item[name] {
    case nil, .null: nil
    case .string(let value): value
    default: throw Self.corrupt(name)
    }
  }

  func instant(_ name: String) throws(StoreError) -> Instant { try require(Instant(string(name)), name) }
  func date(_ name: String) throws(StoreError) -> CivilDate { try require(CivilDate(string(name)), name) }
  func time(_ name: String) throws(StoreError) -> CivilTimeOfDay { try require(CivilTimeOfDay(string(name)), name) }

  /// A value of a closed set, stored as its raw value.
  func value<Value: RawRepresentable<String>>(
    _ name: String, as type: Value.Type = Value.self
  ) throws(StoreError) -> Value {
    try require(Value(rawValue: string(name)), name)
  }

  /// The maps of a list, each read by `body`; absent is empty.
  func list<Element>(
    _ name: String, _ body: (ItemReader) throws(StoreError) -> Element
  ) throws(StoreError) -> [Element] {
    guard let value = item[name], value != .null else { return [] }
    var elements: [Element] = []
    for element in try require(value.listValue, name) {
      elements.append(try body(ItemReader(try require(element.mapValue, name))))
    }
    return elements
  }

  func require<Value>(_ value: Value?, _ name: String) throws(StoreError) -> Value {
    guard let value else { throw Self.corrupt(name) }
    return value
  }

  static func corrupt(_ name: String) -> StoreError { .corrupt("attribute \(name)") }
}

internal import Storage

/// A transaction with everything done that the writer's thread need not do: checked, items encoded, checksums taken.
struct PreparedTransaction: Sendable {
  struct Step: Sendable {
    enum Action: Sendable {
      case put(StoredItem)
      case delete
      case check
    }

    var layout: TableLayout
    var key: ItemKey
    var action: Action
    var condition: Condition?
  }

  var steps: [Step]

  init(_ writes: [Write], tables: StoreTables) throws(StoreError) {
    let keys = try StoreRules.keys(of: writes)
    steps = []
    steps.reserveCapacity(writes.count)
    for (write, key) in zip(writes, keys) {
      let layout = try tables.layout(of: write.table)
      let action: Step.Action =
        switch write.action {
        case .put(let item): .put(layout.stored(item, key: key))
        case .delete: .delete
        case .check: .check
        }
      steps.append(Step(layout: layout, key: key, action: action, condition: write.condition))
    }
  }

  init(deleting keys: [(TableLayout, ItemKey)]) {
    steps = keys.map { Step(layout: $0, key: $1, action: .delete, condition: nil) }
  }
}

/// The tables of an open store.
struct StoreTables: Sendable {
  let byNumber: [Int64: TableLayout]
  private let byName: [String: TableLayout]

  init(_ layouts: [TableLayout]) {
    byNumber = Dictionary(layouts.map { ($0.number, $0) }) { _, last in last }
    byName = Dictionary(layouts.map { ($0.schema.name, $0) }) { _, last in last }
  }

  var all: [TableLayout] { byNumber.values.sorted { $0.number < $1.number } }

  func layout(of schema: TableSchema) throws(StoreError) -> TableLayout {
    guard let layout = byName[schema.name], layout.schema == schema else {
      throw .invalidRequest("the store has no table \(schema.name) like that")
    }
    return layout
  }
}

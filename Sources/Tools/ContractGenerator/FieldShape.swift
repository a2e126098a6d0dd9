/// How one field of the contract looks in Swift.
struct FieldShape {
  enum Presence {
    case implicit
    case optional
    case repeated
    case map(key: Field, value: Field)
  }

  let field: Field
  let presence: Presence
  /// The type of one element.
  let element: String

  init(_ field: Field, in schema: Schema) {
    self.field = field
    element = Self.element(of: field, in: schema)
    if let entry = schema.messages[field.typeName], entry.isMapEntry, entry.fields.count == 2 {
      presence = .map(key: entry.fields[0], value: entry.fields[1])
    } else if field.isRepeated {
      presence = .repeated
    } else if field.kind == .message || field.isProto3Optional {
      presence = .optional
    } else {
      presence = .implicit
    }
  }

  func swiftType(in schema: Schema) -> String {
    switch presence {
    case .implicit: element
    case .optional: "\(element)?"
    case .repeated: "[\(element)]"
    case .map(let key, let value):
      "[\(Self.element(of: key, in: schema)): \(Self.element(of: value, in: schema))]"
    }
  }

  /// The value of a field that is absent on the wire.
  var defaultValue: String {
    switch presence {
    case .optional: return "nil"
    case .repeated: return "[]"
    case .map: return "[:]"
    case .implicit:
      switch field.kind {
      case .string: return "\"\""
      case .bytes: return "[]"
      case .bool: return "false"
      case .enum: return "\(element)(rawValue: 0)"
      default: return "0"
      }
    }
  }

  static func element(of field: Field, in schema: Schema) -> String {
    switch field.kind {
    case .double: "Double"
    case .float: "Float"
    case .int64, .sfixed64, .sint64: "Int64"
    case .uint64, .fixed64: "UInt64"
    case .int32, .sfixed32, .sint32: "Int32"
    case .fixed32, .uint32: "UInt32"
    case .bool: "Bool"
    case .string: "String"
    case .bytes: "[UInt8]"
    case .enum: SwiftNames.type(field.typeName, package: schema.enums[field.typeName]?.package ?? "")
    case .message, .group: SwiftNames.type(field.typeName, package: schema.messages[field.typeName]?.package ?? "")
    }
  }
}

extension Schema {
  /// Whether types of `file` refer to types of another module, which then needs an import.
  func refersToStandardProtos(_ types: some Sequence<String>) -> Bool {
    types.contains { name in
      let package = messages[name]?.package ?? enums[name]?.package
      return package.map { GeneratedModule(package: $0) == .standard } ?? false
    }
  }
}

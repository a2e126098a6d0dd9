/// Refuses what the codec does not support, so that it cannot fail at run time.
struct SchemaChecks {
  private let schema: Schema

  static func run(_ schema: Schema) throws {
    let checks = SchemaChecks(schema: schema)
    for file in schema.files { try checks.check(file) }
    try checks.refuseRecursion()
    try checks.refuseClashes()
  }

  private func check(_ file: ProtoFile) throws {
    guard file.syntax == "proto3" else {
      throw GeneratorError("\(file.name) is not proto3; proto2 presence, defaults and groups are not supported.")
    }
    guard !file.hasExtensions, !file.allMessages.contains(where: \.hasExtensions) else {
      throw GeneratorError("\(file.name) declares extensions, which are not supported.")
    }
    for message in file.allMessages {
      for field in message.fields {
        guard field.kind != .group, !field.isRequired else {
          throw GeneratorError("\(message.fullName).\(field.name) is a group or required; neither is supported.")
        }
        guard field.number != 536_870_911 else {
          throw GeneratorError("\(message.fullName).\(field.name) has number 536870911, which the bridge needs.")
        }
        let known: Bool =
          switch field.kind {
          case .message: schema.messages[field.typeName] != nil
          case .enum: schema.enums[field.typeName] != nil
          default: true
          }
        guard known else {
          throw GeneratorError(
            "\(message.fullName).\(field.name) uses \(field.typeName), which the set lacks: pass --include_imports.")
        }
      }
    }
  }

  /// A message that contains itself has no bound on its nesting, and protobuf-c's decoder recurses without a limit.
  private func refuseRecursion() throws {
    var finished: Set<String> = []
    for name in schema.messages.keys.sorted() { try visit(name, trail: [], finished: &finished) }
  }

  private func visit(_ name: String, trail: [String], finished: inout Set<String>) throws {
    if finished.contains(name) { return }
    if let start = trail.firstIndex(of: name) {
      let cycle = (trail[start...] + [name]).joined(separator: " > ")
      throw GeneratorError("The schema is recursive, which is not supported: \(cycle).")
    }
    for field in schema.messages[name]?.fields ?? [] where field.kind == .message {
      try visit(field.typeName, trail: trail + [name], finished: &finished)
    }
    finished.insert(name)
  }

  /// Names that differ in the contract must differ in C and in Swift as well.
  private func refuseClashes() throws {
    var owners: [String: String] = [:]
    func claim(_ name: String, for owner: String) throws {
      if let other = owners.updateValue(owner, forKey: name), other != owner {
        throw GeneratorError("\(other) and \(owner) would both be called \(name) in generated code; rename one.")
      }
    }
    for file in schema.files {
      try claim(CNames.file(file.name), for: file.name)
      for message in file.allMessages {
        try claim(CNames.type(message.fullName), for: message.fullName)
        try claim(CNames.symbol(message.fullName), for: message.fullName)
        try claim(SwiftNames.type(message.fullName, package: message.package), for: message.fullName)
        var fields: [String: String] = [:]
        for field in message.fields {
          if let other = fields.updateValue(field.name, forKey: SwiftNames.member(field.name)) {
            throw GeneratorError("\(message.fullName): \(other) and \(field.name) are the same name in Swift.")
          }
        }
      }
      for type in file.allEnums {
        try claim(SwiftNames.type(type.fullName, package: type.package), for: type.fullName)
      }
    }
  }
}

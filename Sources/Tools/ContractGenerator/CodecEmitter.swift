/// Writes the conversions between the C structs of protoc-c and the Swift values, one straight line per message.
struct CodecEmitter {
  let schema: Schema
  let file: ProtoFile

  func emit() -> String {
    var out = CodeWriter()
    out.header(source: file.name)
    out.line("internal import \(file.module.cModule.rawValue)")
    out.line("package import ProtobufBridge")
    let types = file.allMessages.flatMap(\.fields).map(\.typeName)
    if file.module.isAboveStandard, schema.refersToStandardProtos(types) {
      out.line("internal import StandardProtos")
    }
    for message in file.allMessages where !message.isMapEntry {
      out.line()
      emit(message, into: &out)
    }
    return out.text
  }

  private func emit(_ message: MessageType, into out: inout CodeWriter) {
    let cType = CNames.type(message.fullName)
    out.block("extension \(SwiftNames.type(message.fullName, package: message.package))") { out in
      out.line("package static var protoName: String { \"\(message.fullName)\" }")
      out.line()
      out.block("package static var layout: MessageLayout") { out in
        out.line("unsafe MessageLayout(\(CNames.symbol(message.fullName))__layout())")
      }
      out.line()
      out.block("package init(decoding raw: UnsafeRawPointer, _ decoder: inout MessageDecoder)") { out in
        out.line("let c = unsafe raw.assumingMemoryBound(to: \(cType).self)")
        emitDecoding(of: message, into: &out)
        out.line("self.unknownFields = unsafe decoder.unknownFields(of: c.pointee.base)")
      }
      out.line()
      out.block("package func encode(into raw: UnsafeMutableRawPointer, _ encoder: inout MessageEncoder)") { out in
        out.line("let c = unsafe raw.assumingMemoryBound(to: \(cType).self)")
        out.line("unsafe c.pointee.base.descriptor = \(CNames.symbol(message.fullName))__layout()")
        emitEncoding(of: message, into: &out)
        out.block("if !unknownFields.isEmpty") { out in
          out.line("unsafe encoder.unknownFields(unknownFields, of: &c.pointee.base)")
        }
      }
    }
  }

  // MARK: - C to Swift

  private func emitDecoding(of message: MessageType, into out: inout CodeWriter) {
    var seenOneofs: Set<Int> = []
    for field in message.fields {
      if let index = field.realOneofIndex {
        if seenOneofs.insert(index).inserted { emitDecoding(ofOneof: index, in: message, into: &out) }
        continue
      }
      let shape = FieldShape(field, in: schema)
      let name = SwiftNames.declared(field.name)
      let member = CNames.member(field)
      switch shape.presence {
      case .implicit:
        out.line("self.\(name) = \(decoded(field, "c.pointee.\(member)"))")
      case .optional where field.isProto3Optional:
        let oneof = CNames.oneofCase(field.oneofIndex ?? 0)
        let value = decoded(field, "c.pointee.\(member)")
        out.line("self.\(name) = unsafe c.pointee.\(oneof).rawValue == \(field.number) ? \(value.withoutUnsafe) : nil")
      case .optional:
        out.line(
          "self.\(name) = unsafe decoder.optional(\(shape.element).self, c.pointee.\(member), \"\(field.name)\")")
      case .repeated:
        out.line("self.\(name) = \(decodedArray(field, shape.element, member))")
      case .map(let key, let value):
        emitDecoding(ofMap: field, key, value, into: &out)
      }
    }
  }

  private func emitDecoding(ofOneof index: Int, in message: MessageType, into out: inout CodeWriter) {
    let oneof = message.oneofs[index]
    let name = SwiftNames.declared(oneof.name)
    out.line("switch unsafe c.pointee.\(CNames.oneofCase(index)).rawValue {")
    for member in message.members(ofOneof: index) {
      let value = decoded(member, "c.pointee.\(CNames.member(member))")
      out.line("case \(member.number): self.\(name) = .\(SwiftNames.declared(member.name))(\(value))")
    }
    out.line("default: self.\(name) = nil")
    out.line("}")
  }

  private func emitDecoding(ofMap field: Field, _ key: Field, _ value: Field, into out: inout CodeWriter) {
    let name = SwiftNames.declared(field.name)
    let member = CNames.member(field)
    let type = FieldShape(field, in: schema).swiftType(in: schema)
    out.line("var \(name): \(type) = [:]")
    out.block("for index in unsafe 0..<c.pointee.n_\(member)") { out in
      out.line("guard let entry = unsafe c.pointee.\(member)[index] else { continue }")
      let keyName = "\(field.name).\(key.name)"
      let valueName = "\(field.name).\(value.name)"
      let keyValue = decoded(key, "entry.pointee.\(CNames.member(key))", name: keyName)
      let valueValue = decoded(value, "entry.pointee.\(CNames.member(value))", name: valueName)
      out.line("let key = \(keyValue)")
      out.line("\(name)[key] = \(valueValue)")
    }
    out.line("self.\(name) = \(name)")
  }

  private func decoded(_ field: Field, _ expression: String, name: String? = nil) -> String {
    let name = name ?? field.name
    switch field.kind {
    case .string: return "unsafe decoder.string(\(expression), \"\(name)\")"
    case .bytes: return "unsafe decoder.bytes(\(expression))"
    case .bool: return "unsafe \(expression) != 0"
    case .float: return "unsafe Float(bitPattern: \(expression))"
    case .double: return "unsafe Double(bitPattern: \(expression))"
    case .enum: return "unsafe \(FieldShape.element(of: field, in: schema))(rawValue: \(expression))"
    case .message:
      return "unsafe decoder.message(\(FieldShape.element(of: field, in: schema)).self, \(expression), \"\(name)\")"
    default: return "unsafe \(expression)"
    }
  }

  private func decodedArray(_ field: Field, _ element: String, _ member: String) -> String {
    let source = "c.pointee.\(member), count: c.pointee.n_\(member)"
    switch field.kind {
    case .string: return "unsafe decoder.strings(\(source), \"\(field.name)\")"
    case .bytes: return "unsafe decoder.byteStrings(\(source))"
    case .bool: return "unsafe decoder.bools(\(source))"
    case .float: return "unsafe decoder.floats(\(source))"
    case .double: return "unsafe decoder.doubles(\(source))"
    case .enum: return "unsafe decoder.enums(\(element).self, \(source))"
    case .message: return "unsafe decoder.messages(\(element).self, \(source), \"\(field.name)\")"
    default: return "unsafe decoder.scalars(\(source))"
    }
  }

  // MARK: - Swift to C

  private func emitEncoding(of message: MessageType, into out: inout CodeWriter) {
    var seenOneofs: Set<Int> = []
    for field in message.fields {
      if let index = field.realOneofIndex {
        if seenOneofs.insert(index).inserted { emitEncoding(ofOneof: index, in: message, into: &out) }
        continue
      }
      let shape = FieldShape(field, in: schema)
      let name = SwiftNames.declared(field.name)
      let member = CNames.member(field)
      switch shape.presence {
      case .implicit:
        out.line("unsafe c.pointee.\(member) = \(encoded(field, "self.\(name)"))")
      case .optional:
        out.block("if let value = self.\(name)") { out in
          if let index = field.oneofIndex {
            out.line("unsafe c.pointee.\(CNames.oneofCase(index)) = .init(rawValue: \(field.number))")
          }
          out.line("unsafe c.pointee.\(member) = \(encoded(field, "value"))")
        }
      case .repeated:
        out.block("if !self.\(name).isEmpty") { out in
          out.line("unsafe c.pointee.n_\(member) = self.\(name).count")
          out.line("unsafe c.pointee.\(member) = \(encodedArray(field, "self.\(name)"))")
        }
      case .map(let key, let value):
        emitEncoding(ofMap: field, key, value, into: &out)
      }
    }
  }

  private func emitEncoding(ofOneof index: Int, in message: MessageType, into out: inout CodeWriter) {
    out.line("switch self.\(SwiftNames.declared(message.oneofs[index].name)) {")
    for member in message.members(ofOneof: index) {
      out.line("case .\(SwiftNames.declared(member.name))(let value)?:")
      out.indented { out in
        out.line("unsafe c.pointee.\(CNames.oneofCase(index)) = .init(rawValue: \(member.number))")
        out.line("unsafe c.pointee.\(CNames.member(member)) = \(encoded(member, "value"))")
      }
    }
    out.line("case nil: break")
    out.line("}")
  }

  private func emitEncoding(ofMap field: Field, _ key: Field, _ value: Field, into out: inout CodeWriter) {
    let name = SwiftNames.declared(field.name)
    let member = CNames.member(field)
    out.block("if !self.\(name).isEmpty") { out in
      out.line("let entries = unsafe encoder.entries(\(CNames.type(field.typeName)).self, count: self.\(name).count)")

      out.block("for (index, item) in MapOrder.sorted(self.\(name)).enumerated()") { out in
        out.line("let entry = unsafe entries.first + index")
        out.line("unsafe entry.pointee.base.descriptor = \(CNames.symbol(field.typeName))__layout()")
        for (part, label) in [(key, "key"), (value, "value")] {
          let index = part.number - 1
          out.line("unsafe entry.pointee.\(CNames.oneofCase(index)) = .init(rawValue: \(part.number))")
          out.line("unsafe entry.pointee.\(CNames.member(part)) = \(encoded(part, "item.\(label)"))")
        }
      }
      out.line("unsafe c.pointee.n_\(member) = self.\(name).count")
      out.line("unsafe c.pointee.\(member) = entries.table")
    }
  }

  private func encoded(_ field: Field, _ value: String) -> String {
    switch field.kind {
    case .string: "encoder.string(\(value))"
    case .bytes: "encoder.bytes(\(value))"
    case .bool: "\(value) ? 1 : 0"
    case .float, .double: "\(value).bitPattern"
    case .enum: "\(value).rawValue"
    case .message:
      "encoder.message(\(value)).assumingMemoryBound(to: \(CNames.type(field.typeName)).self)"
    default: value
    }
  }

  private func encodedArray(_ field: Field, _ value: String) -> String {
    switch field.kind {
    case .string: "encoder.strings(\(value))"
    case .bytes: "encoder.byteStrings(\(value))"
    case .bool: "encoder.bools(\(value))"
    case .float: "encoder.floats(\(value))"
    case .double: "encoder.doubles(\(value))"
    case .enum: "encoder.enums(\(value))"
    case .message:
      "encoder.messages(\(value)).assumingMemoryBound(to: UnsafeMutablePointer<\(CNames.type(field.typeName))>?.self)"
    default: "encoder.scalars(\(value))"
    }
  }
}

extension String {
  /// Inside an expression that is marked already.
  fileprivate var withoutUnsafe: String { hasPrefix("unsafe ") ? String(dropFirst(7)) : self }
}

/// What reflection needs to know of one `google.protobuf.FileDescriptorProto`: its imports and the full names and
/// extensions that it declares. The field numbers are those of google/protobuf/descriptor.proto.
struct FileDescriptorSummary {
  private(set) var name = ""
  private(set) var package = ""
  private(set) var dependencies: [String] = []
  private(set) var services: [String] = []
  /// Services, methods, messages, fields, oneofs, enums, enum values and extensions.
  private(set) var symbols: [String] = []
  private(set) var extensions: [Extension] = []
  let serialized: [UInt8]

  struct Extension: Hashable {
    /// Full name without a leading dot.
    var extendee: String
    var number: Int32
  }

  /// Messages within messages; far more than protoc accepts in practice.
  private static let maxDepth = 32

  init(serialized bytes: ArraySlice<UInt8>) throws(DescriptorError) {
    serialized = Array(bytes)
    // The package may come after what it qualifies.
    var reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let value)): name = try Self.text(value)
      case (2, .bytes(let value)): package = try Self.text(value)
      case (3, .bytes(let value)): dependencies.append(try Self.text(value))
      default: break
      }
    }
    guard !name.isEmpty else { throw DescriptorError("A file descriptor has no name.") }
    reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      guard case .bytes(let value) = field.value else { continue }
      switch field.number {
      case 4: try addMessage(value, scope: package, depth: 0)
      case 5: try addEnum(value, scope: package)
      case 6: try addService(value)
      case 7: try addField(value, scope: package)
      default: break
      }
    }
  }
}

extension FileDescriptorSummary {
  private mutating func addMessage(_ bytes: ArraySlice<UInt8>, scope: String, depth: Int) throws(DescriptorError) {
    guard depth < Self.maxDepth else { throw DescriptorError("\(name) nests messages too deeply.") }
    let fullName = Self.join(scope, try Self.name(of: bytes))
    symbols.append(fullName)
    var reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      guard case .bytes(let value) = field.value else { continue }
      switch field.number {
      case 2, 6: try addField(value, scope: fullName)
      case 3: try addMessage(value, scope: fullName, depth: depth + 1)
      case 4: try addEnum(value, scope: fullName)
      case 8: symbols.append(Self.join(fullName, try Self.name(of: value)))
      default: break
      }
    }
  }

  /// A field of a message, or an extension, which has an extendee.
  private mutating func addField(_ bytes: ArraySlice<UInt8>, scope: String) throws(DescriptorError) {
    symbols.append(Self.join(scope, try Self.name(of: bytes)))
    var extendee: String?
    var number: Int32 = 0
    var reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (2, .bytes(let value)): extendee = try Self.text(value)
      case (3, .varint(let value)): number = Int32(truncatingIfNeeded: value)
      default: break
      }
    }
    guard let extendee else { return }
    extensions.append(
      Extension(extendee: extendee.hasPrefix(".") ? String(extendee.dropFirst()) : extendee, number: number))
  }

  private mutating func addEnum(_ bytes: ArraySlice<UInt8>, scope: String) throws(DescriptorError) {
    symbols.append(Self.join(scope, try Self.name(of: bytes)))
    var reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      guard field.number == 2, case .bytes(let value) = field.value else { continue }
      // Values are siblings of their enum (protobuf's C++ scoping rule).
      symbols.append(Self.join(scope, try Self.name(of: value)))
    }
  }

  private mutating func addService(_ bytes: ArraySlice<UInt8>) throws(DescriptorError) {
    let fullName = Self.join(package, try Self.name(of: bytes))
    services.append(fullName)
    symbols.append(fullName)
    var reader = DescriptorWireReader(bytes)
    while let field = try reader.next() {
      guard field.number == 2, case .bytes(let value) = field.value else { continue }
      symbols.append(Self.join(fullName, try Self.name(of: value)))
    }
  }

  /// Field 1 is the name in every descriptor message.
  private static func name(of bytes: ArraySlice<UInt8>) throws(DescriptorError) -> String {
    var reader = DescriptorWireReader(bytes)
    var name = ""
    while let field = try reader.next() {
      if field.number == 1, case .bytes(let value) = field.value { name = try text(value) }
    }
    guard !name.isEmpty else { throw DescriptorError("A descriptor has no name.") }
    return name
  }

  private static func text(_ bytes: ArraySlice<UInt8>) throws(DescriptorError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw DescriptorError("A name is not UTF-8.") }
    return text
  }

  private static func join(_ scope: String, _ name: String) -> String { scope.isEmpty ? name : "\(scope).\(name)" }
}

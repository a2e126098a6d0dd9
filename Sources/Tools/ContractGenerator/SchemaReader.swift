/// Reads a `FileDescriptorSet` as `protoc --include_imports --include_source_info` writes it.
///
/// Field numbers: google/protobuf/descriptor.proto.
struct SchemaReader {
  static func read(_ bytes: [UInt8]) throws -> Schema {
    let files = try WireReader.fields(of: bytes[...]).filter { $0.number == 1 }.map { try file($0.bytes) }
    return Schema(files: files)
  }

  private static func file(_ bytes: ArraySlice<UInt8>) throws -> ProtoFile {
    let fields = try WireReader.fields(of: bytes)
    let comments = try Comments(fields.filter { $0.number == 9 }.map(\.bytes))
    let package = fields.last { $0.number == 2 }?.string ?? ""
    var serialized = WireWriter()
    var file = ProtoFile(
      name: "", package: package, syntax: "proto2", dependencies: [], messages: [], enums: [], services: [],
      hasExtensions: false, serialized: [])
    for field in fields {
      switch field.number {
      case 1: file.name = field.string
      case 3: file.dependencies.append(field.string)
      case 4:
        let reader = SchemaReader(comments: comments, package: package)
        file.messages.append(try reader.message(field.bytes, scope: package, path: [4, file.messages.count]))
      case 5:
        let reader = SchemaReader(comments: comments, package: package)
        file.enums.append(try reader.enumeration(field.bytes, scope: package, path: [5, file.enums.count]))
      case 6:
        let reader = SchemaReader(comments: comments, package: package)
        file.services.append(try reader.service(field.bytes, path: [6, file.services.count]))
      case 7: file.hasExtensions = true
      case 12: file.syntax = field.string
      default: break
      }
      switch field.value {
      case .bytes(let value) where field.number != 9: serialized.data(field.number, value)
      case .varint: serialized.int(field.number, field.int)
      default: break
      }
    }
    file.serialized = serialized.bytes
    return file
  }

  private let comments: Comments
  private let package: String

  private func message(_ bytes: ArraySlice<UInt8>, scope: String, path: [Int]) throws -> MessageType {
    let fields = try WireReader.fields(of: bytes)
    let name = fields.last { $0.number == 1 }?.string ?? ""
    let fullName = scope.isEmpty ? name : "\(scope).\(name)"
    var message = MessageType(
      name: name, fullName: fullName, package: package, comment: comments[path], fields: [], nested: [], enums: [],
      oneofs: [], isMapEntry: false, hasExtensions: false)
    for field in fields {
      switch field.number {
      case 2: message.fields.append(try self.field(field.bytes, path: path + [2, message.fields.count]))
      case 3:
        message.nested.append(
          try self.message(field.bytes, scope: fullName, path: path + [3, message.nested.count]))
      case 4:
        message.enums.append(try enumeration(field.bytes, scope: fullName, path: path + [4, message.enums.count]))
      case 5, 6: message.hasExtensions = true
      case 7: message.isMapEntry = try WireReader.fields(of: field.bytes).contains { $0.number == 7 && $0.bool }
      case 8:
        let name = try WireReader.fields(of: field.bytes).last { $0.number == 1 }?.string ?? ""
        message.oneofs.append(Oneof(name: name, comment: comments[path + [8, message.oneofs.count]]))
      default: break
      }
    }
    return message
  }

  private func field(_ bytes: ArraySlice<UInt8>, path: [Int]) throws -> Field {
    var result = Field(
      name: "", number: 0, kind: .group, typeName: "", isRepeated: false, isRequired: false, isPacked: nil,
      isProto3Optional: false, oneofIndex: nil, comment: comments[path])
    for field in try WireReader.fields(of: bytes) {
      switch field.number {
      case 1: result.name = field.string
      case 3: result.number = field.int
      case 4:
        result.isRequired = field.int == 2
        result.isRepeated = field.int == 3
      case 5:
        guard let kind = Field.Kind(rawValue: field.int) else {
          throw GeneratorError("Field \(result.name) has type \(field.int), which this generator does not know.")
        }
        result.kind = kind
      case 6: result.typeName = String(field.string.drop { $0 == "." })
      case 8: result.isPacked = try WireReader.fields(of: field.bytes).last { $0.number == 2 }?.bool
      case 9: result.oneofIndex = field.int
      case 17: result.isProto3Optional = field.bool
      default: break
      }
    }
    return result
  }

  private func enumeration(_ bytes: ArraySlice<UInt8>, scope: String, path: [Int]) throws -> EnumType {
    var result = EnumType(name: "", fullName: "", package: package, comment: comments[path], values: [])
    for field in try WireReader.fields(of: bytes) {
      switch field.number {
      case 1: result.name = field.string
      case 2:
        let parts = try WireReader.fields(of: field.bytes)
        result.values.append(
          EnumType.Value(
            name: parts.last { $0.number == 1 }?.string ?? "",
            number: Int32(truncatingIfNeeded: parts.last { $0.number == 2 }?.int ?? 0),
            comment: comments[path + [2, result.values.count]]))
      default: break
      }
    }
    result.fullName = scope.isEmpty ? result.name : "\(scope).\(result.name)"
    return result
  }

  private func service(_ bytes: ArraySlice<UInt8>, path: [Int]) throws -> ServiceType {
    var result = ServiceType(name: "", fullName: "", comment: comments[path], methods: [])
    for field in try WireReader.fields(of: bytes) {
      switch field.number {
      case 1: result.name = field.string
      case 2:
        var method = ServiceType.Method(
          name: "", input: "", output: "", clientStreaming: false, serverStreaming: false,
          comment: comments[path + [2, result.methods.count]])
        for part in try WireReader.fields(of: field.bytes) {
          switch part.number {
          case 1: method.name = part.string
          case 2: method.input = String(part.string.drop { $0 == "." })
          case 3: method.output = String(part.string.drop { $0 == "." })
          case 5: method.clientStreaming = part.bool
          case 6: method.serverStreaming = part.bool
          default: break
          }
        }
        result.methods.append(method)
      default: break
      }
    }
    result.fullName = package.isEmpty ? result.name : "\(package).\(result.name)"
    return result
  }
}

/// The comments of a proto file by the path of what they stand above.
private struct Comments {
  private var leading: [[Int]: String] = [:]

  init(_ sourceInfos: [ArraySlice<UInt8>]) throws {
    for info in sourceInfos {
      for location in try WireReader.fields(of: info) where location.number == 1 {
        let fields = try WireReader.fields(of: location.bytes)
        let path = try fields.filter { $0.number == 1 }.flatMap { try WireReader.packedInts($0.bytes) }
        if let text = fields.last(where: { $0.number == 3 }) ?? fields.last(where: { $0.number == 4 }) {
          leading[path] = text.string
        }
      }
    }
  }

  subscript(path: [Int]) -> String { leading[path] ?? "" }
}

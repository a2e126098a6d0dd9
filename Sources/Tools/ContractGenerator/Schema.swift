/// A compiled set of proto files, as much of it as the generator uses.
struct Schema {
  var files: [ProtoFile]

  /// Every message by its full name, nested ones included.
  let messages: [String: MessageType]
  let enums: [String: EnumType]

  init(files: [ProtoFile]) {
    self.files = files
    var messages: [String: MessageType] = [:]
    var enums: [String: EnumType] = [:]
    for file in files {
      for message in file.allMessages { messages[message.fullName] = message }
      for type in file.allEnums { enums[type.fullName] = type }
    }
    self.messages = messages
    self.enums = enums
  }
}

struct ProtoFile {
  var name: String
  var package: String
  var syntax: String
  var dependencies: [String]
  var messages: [MessageType]
  var enums: [EnumType]
  var services: [ServiceType]
  var hasExtensions: Bool
  /// The serialized FileDescriptorProto without its source info: what reflection serves.
  var serialized: [UInt8]

  /// Where its types live.
  var module: GeneratedModule { GeneratedModule(package: package) }

  /// Outer messages before those nested in them.
  var allMessages: [MessageType] { messages.flatMap(\.withNested) }
  var allEnums: [EnumType] { enums + allMessages.flatMap(\.enums) }
}

struct MessageType {
  var name: String
  var fullName: String
  var package: String
  var comment: String
  var fields: [Field]
  var nested: [MessageType]
  var enums: [EnumType]
  /// The names of its oneofs; those that stand for a proto3 `optional` come last and are synthetic.
  var oneofs: [Oneof]
  var isMapEntry: Bool
  var hasExtensions: Bool

  var withNested: [MessageType] { [self] + nested.flatMap(\.withNested) }

  /// The members of a oneof in the order of their declaration.
  func members(ofOneof index: Int) -> [Field] {
    fields.filter { $0.oneofIndex == index }
  }
}

struct Oneof {
  var name: String
  var comment: String
}

struct Field {
  enum Kind: Int {
    case double = 1
    case float, int64, uint64, int32, fixed64, fixed32, bool, string, group, message, bytes, uint32, `enum`
    case sfixed32, sfixed64, sint32, sint64
  }

  var name: String
  var number: Int
  var kind: Kind
  /// Full name of the message or enum, without the leading dot.
  var typeName: String
  var isRepeated: Bool
  var isRequired: Bool
  var isPacked: Bool?
  var isProto3Optional: Bool
  var oneofIndex: Int?
  var comment: String

  /// The oneof that it is a member of in the source, where `optional` is none.
  var realOneofIndex: Int? { isProto3Optional ? nil : oneofIndex }
}

struct EnumType {
  struct Value {
    var name: String
    var number: Int32
    var comment: String
  }
  var name: String
  var fullName: String
  var package: String
  var comment: String
  var values: [Value]
}

struct ServiceType {
  struct Method {
    var name: String
    var input: String
    var output: String
    var clientStreaming: Bool
    var serverStreaming: Bool
    var comment: String
  }
  var name: String
  var fullName: String
  var comment: String
  var methods: [Method]
}

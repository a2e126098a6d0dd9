/// How names of the contract are spelled in Swift.
enum SwiftNames {
  /// `clinicavoice.patient.v1` → `PatientV1`, `google.rpc` → `GoogleRPC`, `grpc.reflection.v1alpha` →
  /// `GRPCReflectionV1Alpha`.
  static func namespace(_ package: String) -> String {
    var parts = package.split(separator: ".").map(String.init)
    if parts.first == "clinicavoice" { parts.removeFirst() }
    return parts.map { part in
      switch part {
      case "rpc", "grpc": return part.uppercased()
      case let version where version.hasPrefix("v") && version.dropFirst().first?.isNumber == true:
        let digits = version.dropFirst().prefix { $0.isNumber }
        let suffix = version.dropFirst(1 + digits.count)
        return "V\(digits)\(suffix.prefix(1).uppercased())\(suffix.dropFirst())"
      default: return upperCamel(part)
      }
    }.joined()
  }

  /// `clinicavoice.patient.v1.Patient.Address` → `PatientV1.Patient.Address`.
  static func type(_ fullName: String, package: String) -> String {
    let parts = fullName.dropFirst(package.count).split(separator: ".").map { declaredType(String($0)) }
    return ([namespace(package)] + parts).joined(separator: ".")
  }

  /// The last part of a type's name. What Swift reserves is told apart by its kind: `Any` → `AnyMessage`.
  static func declaredType(_ name: String) -> String {
    let camel = upperCamel(name)
    return ["Any", "Self", "Type", "Protocol"].contains(camel) ? camel + "Message" : camel
  }

  /// `date_of_birth` → `dateOfBirth`, bare (for use after a dot or in text).
  static func member(_ name: String) -> String {
    let camel = upperCamel(name)
    let head = camel.prefix { $0.isUppercase }
    let lowered = head.count > 1 && head.count < camel.count ? head.dropLast().lowercased() : head.lowercased()
    let result = lowered + camel.dropFirst(lowered.count)
    return clashing.contains(result) ? result + "_" : result
  }

  /// The same, quoted where it is a keyword.
  static func declared(_ name: String) -> String {
    let member = member(name)
    return keywords.contains(member) ? "`\(member)`" : member
  }

  static func method(_ name: String) -> String { declared(name) }

  /// `APPOINTMENT_STATUS_NO_SHOW` of `AppointmentStatus` → `noShow`.
  static func enumMember(_ value: String, of type: String) -> String {
    let prefix = screamingSnake(type) + "_"
    let bare = value.hasPrefix(prefix) && value.count > prefix.count ? String(value.dropFirst(prefix.count)) : value
    let name = declared(bare.lowercased())
    return name.first?.isNumber == true ? "_\(name)" : name
  }

  static func upperCamel(_ name: String) -> String {
    name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }

  private static func screamingSnake(_ name: String) -> String {
    var result = ""
    var previous: Character?
    for character in name {
      if character.isUppercase, let previous, !previous.isUppercase, previous != "_" { result += "_" }
      result += character.uppercased()
      previous = character
    }
    return result
  }

  /// Members that every generated type has already.
  private static let clashing: Set<String> = [
    "unknownFields", "protoName", "layout", "rawValue", "isKnown", "allKnown", "hashValue",
  ]

  private static let keywords: Set<String> = [
    "associatedtype", "class", "deinit", "enum", "extension", "fileprivate", "func", "import", "init", "inout",
    "internal", "let", "operator", "private", "precedencegroup", "protocol", "public", "rethrows", "static",
    "struct", "subscript", "typealias", "var", "break", "case", "catch", "continue", "default", "defer", "do",
    "else", "fallthrough", "for", "guard", "if", "in", "repeat", "return", "throw", "switch", "where", "while",
    "any", "as", "await", "catch", "false", "is", "nil", "rethrows", "self", "super", "throws", "true", "try",
    "Self", "Type", "Protocol", "some",
  ]
}

internal import Foundation

/// How protoc-c 1.4 spells names, and how lowered fields are renamed where C or Swift could not tell them apart.
enum CNames {
  /// `clinicavoice.patient.v1.GetPatientRequest` → `Clinicavoice__Patient__V1__GetPatientRequest`.
  static func type(_ fullName: String) -> String {
    fullName.split(separator: ".").map { camel($0) }.joined(separator: "__")
  }

  /// The same in lower case, the prefix of its functions: `clinicavoice__patient__v1__get_patient_request`.
  static func symbol(_ fullName: String) -> String {
    fullName.split(separator: ".").map { snake($0) }.joined(separator: "__")
  }

  /// A flat name, so that generated headers find each other in one folder.
  static func file(_ path: String) -> String {
    path.replacingOccurrences(of: "/", with: ".")
  }

  /// The C file stem that protoc-c makes of it.
  static func stem(_ path: String) -> String {
    let flat = file(path)
    return flat.hasSuffix(".proto") ? String(flat.dropLast(6)) : flat
  }

  /// The member of the C struct, and the name of the lowered field.
  ///
  /// Every name gets the field's number where it could meet a keyword or a name that protoc-c makes up
  /// (`base`, `n_…`, `has_…`, `…_case`), or where it holds capitals, which protoc-c folds.
  static func member(_ field: Field) -> String {
    let name = field.name
    let isRisky =
      name == "base" || name.hasPrefix("n_") || name.hasPrefix("has_") || name.hasSuffix("_case")
      || name.contains(where: \.isUppercase) || reserved.contains(name)
    return isRisky ? "field\(field.number)_\(name.lowercased())" : name
  }

  /// The lowered oneof; its case member is this with `_case`. Synthetic oneofs of `optional` start with `_`.
  static func oneof(_ index: Int) -> String { "oneof\(index)" }
  static func oneofCase(_ index: Int) -> String { "oneof\(index)_case" }

  private static func camel(_ part: Substring) -> String {
    var result = ""
    var upperNext = true
    for character in part {
      if character == "_" {
        upperNext = true
      } else {
        result += upperNext ? character.uppercased() : String(character)
        upperNext = false
      }
    }
    return result
  }

  private static func snake(_ part: Substring) -> String {
    var result = ""
    var wasUpper = true
    for character in part {
      if character.isUppercase && !wasUpper { result += "_" }
      result += character.lowercased()
      wasUpper = character.isUppercase
    }
    return result
  }

  /// Keywords of C, C++ and Swift.
  private static let reserved: Set<String> = [
    "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class", "compl",
    "const", "const_cast", "continue", "default", "delete", "do", "double", "dynamic_cast", "else", "enum",
    "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "mutable", "namespace", "new", "not", "not_eq", "operator", "or", "or_eq", "private", "protected", "public",
    "register", "reinterpret_cast", "restrict", "return", "short", "signed", "sizeof", "static", "static_cast",
    "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typeid", "typename", "typeof",
    "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
    "as", "defer", "extension", "fallthrough", "fileprivate", "func", "guard", "import", "in", "init", "inout",
    "internal", "is", "let", "nil", "precedencegroup", "protocol", "repeat", "rethrows", "self", "subscript",
    "super", "switch", "throws", "associatedtype", "deinit", "var", "where", "any", "some", "signed",
  ]
}

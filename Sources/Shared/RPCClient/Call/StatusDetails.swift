internal import RPC

enum StatusDetails {
  static func decode(_ bytes: [UInt8], for code: StatusCode) -> [ErrorDetail] { [] }
}

/// The Swift modules of generated types, and the C modules that they stand on.
enum GeneratedModule: CaseIterable {
  /// Our own packages.
  case contract
  /// The packages of Google and gRPC that the services use.
  case standard
  /// gRPC's interop test service, which no service links.
  case interop

  /// The module that a package's types live in.
  init(package: String) {
    if package.hasPrefix("clinicavoice.") {
      self = .contract
    } else if package == "grpc.testing" {
      self = .interop
    } else {
      self = .standard
    }
  }

  /// The prefix of its own names.
  var name: String {
    switch self {
    case .contract: "Contract"
    case .standard: "Standard"
    case .interop: "Interop"
    }
  }

  var cModule: CModule {
    switch self {
    case .contract, .standard: .product
    case .interop: .interop
    }
  }

  /// Whether it imports the module of the standard packages where it uses their types.
  var isAboveStandard: Bool { self != .standard }
}

/// The C modules that protoc-c's sources are part of.
enum CModule: String, CaseIterable {
  case product = "CProtobuf"
  case interop = "CInterop"

  /// Of its `messages.h`.
  var includeGuard: String {
    switch self {
    case .product: "CLINICAVOICE_MESSAGES_H"
    case .interop: "CLINICAVOICE_INTEROP_MESSAGES_H"
    }
  }
}

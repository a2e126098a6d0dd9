// swift-tools-version: 6.2
import PackageDescription

/// Applied to every Swift target of ours.
let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// For the targets in which C pointers live; every unsafe expression there is marked.
let unsafeSwiftSettings: [SwiftSetting] = swiftSettings + [.strictMemorySafety()]

/// A library target at `Sources/Shared/<name>`.
func shared(
  _ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = swiftSettings
) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/Shared/\(name)", swiftSettings: settings)
}

/// A test target at `Tests/ServiceTests/<name>`, mirroring the target it specifies.
func tests(
  _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies, path: "Tests/ServiceTests/\(name)", exclude: exclude,
    resources: resources, swiftSettings: swiftSettings)
}

extension Target.Dependency {
  static let nioCore: Self = .product(name: "NIOCore", package: "swift-nio")
  static let nioPosix: Self = .product(name: "NIOPosix", package: "swift-nio")
  static let nioEmbedded: Self = .product(name: "NIOEmbedded", package: "swift-nio")
  static let nioSSL: Self = .product(name: "NIOSSL", package: "swift-nio-ssl")
  static let nioTLS: Self = .product(name: "NIOTLS", package: "swift-nio")
  static let grdb: Self = .product(name: "GRDB", package: "GRDB.swift")
  static let grdbSQLite: Self = .product(name: "GRDBSQLite", package: "GRDB.swift")
  static let crypto: Self = .product(name: "Crypto", package: "swift-crypto")
  static let jwtKit: Self = .product(name: "JWTKit", package: "jwt-kit")
  static let x509: Self = .product(name: "X509", package: "swift-certificates")
  static let argumentParser: Self = .product(name: "ArgumentParser", package: "swift-argument-parser")
  static let configuration: Self = .product(name: "Configuration", package: "swift-configuration")
  static let logging: Self = .product(name: "Logging", package: "swift-log")
  static let metrics: Self = .product(name: "Metrics", package: "swift-metrics")
  static let metricsTestKit: Self = .product(name: "MetricsTestKit", package: "swift-metrics")
  static let serviceLifecycle: Self = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
  static let deque: Self = .product(name: "DequeModule", package: "swift-collections")
  static let subprocess: Self = .product(name: "Subprocess", package: "swift-subprocess")
  static let unixSignals: Self = .product(name: "UnixSignals", package: "swift-service-lifecycle")
  static let collections: Self = .product(name: "Collections", package: "swift-collections")
}

let package = Package(
  name: "clinicavoice",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "patient-service", targets: ["PatientService"]),
    .executable(name: "appointment-service", targets: ["AppointmentService"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    // For tests only.
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: [
    // C
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(
      name: "CZlib", path: "Sources/Shared/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CScheduling", path: "Sources/Shared/CScheduling"),
    .target(
      name: "CProtobuf", exclude: [],
      linkerSettings: [.linkedLibrary("protobuf-c")]),
    // apt: libssl-dev, libsqlite3-dev
    .target(
      name: "CEncryptedVFS", dependencies: ["CScheduling"], path: "Sources/Shared/CEncryptedVFS",
      linkerSettings: [.linkedLibrary("crypto"), .linkedLibrary("sqlite3")]),
    .target(
      name: "CPageCache", path: "Sources/Shared/CPageCache", linkerSettings: [.linkedLibrary("sqlite3")]),

    // RPC runtime
    shared("Compression", ["CZlib", .nioCore], settings: unsafeSwiftSettings),
    shared("RPC", ["Compression", .nioCore, .logging]),
    shared("HTTP2", ["CNGHTTP2", "RPC", .nioCore], settings: unsafeSwiftSettings),
    shared("Sockets", ["RPC", .nioCore, .nioPosix, .nioSSL, .nioTLS, .x509]),
    shared("RPCServer", ["RPC", "HTTP2", "Sockets", "StandardProtos", .nioCore, .nioPosix, .logging]),
    shared("RPCClient", ["RPC", "HTTP2", "Sockets", "StandardProtos", .nioCore, .nioPosix, .logging]),
    shared("InProcess", ["RPC", "HTTP2", "RPCServer", "RPCClient", .nioCore, .nioPosix, .logging]),

    shared("StandardServices", ["RPC", "StandardProtos"]),

    // Codec and contract
    shared("ProtobufBridge", ["CProtobuf", "RPC", .nioCore], settings: unsafeSwiftSettings),
    shared("StandardProtos", ["CProtobuf", "ProtobufBridge", "RPC", .nioCore], settings: unsafeSwiftSettings),
    shared(
      "Contract", ["CProtobuf", "ProtobufBridge", "StandardProtos", "RPC", .nioCore], settings: unsafeSwiftSettings),

    // Table store
    shared("Storage", [.nioCore, .collections]),
    shared("EncryptedStorage", ["CEncryptedVFS"], settings: unsafeSwiftSettings),
    shared("MemoryEngine", ["Storage", .collections]),
    shared(
      "EmbeddedEngine",
      [
        "CScheduling", "CPageCache", "Storage", "EncryptedStorage", .grdb, .grdbSQLite, .crypto, .logging, .deque,
      ],
      settings: unsafeSwiftSettings),

    // What both services are made of
    shared("Identity", ["RPC"]),
    shared("Auth", ["Identity", "RPC", .jwtKit, .crypto, .nioCore, .logging]),
    shared("Observability", ["Identity", "RPC", .nioCore, .logging, .metrics]),
    shared("CivilTime"),
    shared(
      "ServiceCore",
      ["RPC", "Identity", "Storage", "CivilTime", "StandardProtos", "ProtobufBridge", .crypto, .nioCore, .logging]),
    shared(
      "Lifecycle",
      [
        "CScheduling", "RPC", "RPCServer", "RPCClient", "StandardServices", "Sockets", "Identity", "Auth",
        "Observability", "Storage", "EmbeddedEngine", "EncryptedStorage", "CivilTime", "ServiceCore", "StandardProtos",
        .argumentParser, .configuration, .serviceLifecycle, .unixSignals, .logging, .nioCore, .nioPosix, .crypto,
      ]),

    // The services
    .executableTarget(
      name: "PatientService",
      dependencies: [
        "RPC", "Contract", "StandardProtos", "Storage", "Identity", "CivilTime", "ServiceCore", "Lifecycle",
        .argumentParser, .crypto, .logging, .nioCore,
      ],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "AppointmentService",
      dependencies: [
        "RPC", "RPCClient", "Contract", "StandardProtos", "Storage", "Identity", "CivilTime", "ServiceCore",
        "Lifecycle", .argumentParser, .crypto, .logging, .nioCore,
      ],
      swiftSettings: swiftSettings),

    // Tools: not installed
    .executableTarget(
      name: "generate-contract", dependencies: [.argumentParser], path: "Sources/Tools/ContractGenerator",
      swiftSettings: swiftSettings),
    // Answers a fixed message; what `deploy/bench` measures the runtime with.
    .executableTarget(
      name: "bench-server", dependencies: ["RPC", "RPCServer", "Sockets", .nioCore, .nioPosix, .logging],
      path: "Sources/Tools/BenchServer", swiftSettings: swiftSettings),
    // Our client, and a server to kill, as processes for tests with foreign peers.
    .executableTarget(
      name: "channel-probe",
      dependencies: [
        "RPC", "RPCClient", "RPCServer", "Sockets", "EchoTestSupport", .argumentParser, .unixSignals, .nioCore,
        .nioPosix, .logging,
      ],
      path: "Sources/Tools/ChannelProbe", swiftSettings: swiftSettings),
    // Writes to a store until it is killed; for the tests of that.
    .executableTarget(
      name: "store-crash-writer", dependencies: ["Storage", "EmbeddedEngine", "EncryptedStorage"],
      path: "Sources/Tools/StoreCrashWriter", swiftSettings: swiftSettings),
    // Measures the store and its archive; `deploy/bench store` and `deploy/bench restore` run it.
    .target(name: "CSyncCounter", path: "Sources/Tools/StoreBench/CSyncCounter"),
    .target(name: "BenchFigures", path: "Sources/Tools/StoreBench/Figures", swiftSettings: swiftSettings),
    .executableTarget(
      name: "store-bench",
      dependencies: [
        "BenchFigures", "CScheduling", "CSyncCounter", "Storage", "EmbeddedEngine", "EncryptedStorage", .grdbSQLite,
        .argumentParser, .deque,
      ],
      path: "Sources/Tools/StoreBench/Bench", swiftSettings: swiftSettings),
    // gRPC's interop test service, both sides, for the runtime's tests against other implementations.
    .target(name: "CInterop", dependencies: ["CProtobuf"], path: "Sources/Tools/Interop/CInterop"),
    .target(
      name: "InteropProtos", dependencies: ["CInterop", "ProtobufBridge", "RPC", .nioCore],
      path: "Sources/Tools/Interop/Protos", swiftSettings: unsafeSwiftSettings),
    .executableTarget(
      name: "interop-server",
      dependencies: [
        "InteropProtos", "RPC", "RPCServer", "Sockets", .argumentParser, .logging, .nioCore, .nioPosix,
      ], path: "Sources/Tools/Interop/Server", swiftSettings: swiftSettings),
    .executableTarget(
      name: "interop-client",
      dependencies: [
        "InteropProtos", "RPC", "RPCClient", "Sockets", .argumentParser, .logging, .nioCore, .nioPosix,
      ], path: "Sources/Tools/Interop/Client", swiftSettings: swiftSettings),

    // Tests
    .target(name: "TestSupport", path: "Tests/ServiceTests/Support/Wire", swiftSettings: swiftSettings),
    tests("Compression", ["Compression", "TestSupport", .nioCore]),
    tests("RPC", ["RPC", "TestSupport", .nioCore]),
    tests("HTTP2", ["HTTP2", "RPC", "TestSupport", .nioCore]),
    tests("Sockets", ["Sockets", "RPC", .nioCore, .nioPosix, .nioSSL, .x509, .crypto]),
    tests(
      "RPCServer",
      [
        "RPCServer", "RPC", "HTTP2", "Sockets", "Compression", "TestSupport", .nioCore, .nioPosix, .nioEmbedded,
        .logging,
      ]),
    // Shared by the suites of the RPC client.
    .target(
      name: "EchoTestSupport", dependencies: ["RPC", .nioCore], path: "Tests/ServiceTests/Support/Echo",
      swiftSettings: swiftSettings),
    tests(
      "RPCClient",
      [
        "RPCClient", "RPCServer", "Sockets", "EchoTestSupport", "TestSupport", "RPC", .nioCore, .nioPosix,
        .nioEmbedded, .x509, .crypto, .logging,
      ]),
    tests("InProcess", ["InProcess", "EchoTestSupport", "RPC", "RPCClient", "RPCServer", .nioCore]),
    tests("StandardServices", ["StandardServices", "StandardProtos", "InProcess", "RPC"]),
    tests(
      "ProtobufBridge",
      [
        "ProtobufBridge", "Contract", "StandardProtos", "RPC", "TestSupport", "generate-contract", .nioCore,
        .subprocess,
      ]),
    tests(
      "Contract", ["Contract", "StandardProtos", "ProtobufBridge", "RPC", "generate-contract", .nioCore],
      exclude: ["check_schema.py"]),
    tests("Storage", ["Storage", "MemoryEngine", "EmbeddedEngine", "EncryptedStorage", "TestSupport"]),
    tests("EncryptedStorage", ["EncryptedStorage", "DiskTestSupport", "TestSupport", .grdb]),
    // A disk that fails and loses power, for the suites of the store.
    .target(
      name: "CFaultyDisk", path: "Tests/ServiceTests/Support/FaultyDisk", linkerSettings: [.linkedLibrary("sqlite3")]),
    .target(
      name: "DiskTestSupport", dependencies: ["CFaultyDisk"], path: "Tests/ServiceTests/Support/Disk",
      swiftSettings: swiftSettings),
    tests(
      "EmbeddedEngine",
      [
        "CScheduling", "CPageCache", "Storage", "EmbeddedEngine", "EncryptedStorage", "DiskTestSupport", "TestSupport",
        "store-crash-writer", .grdb, .grdbSQLite, .subprocess,
      ]),
    tests("BenchFigures", ["BenchFigures"]),
    tests("Auth", ["Auth", "Identity", "RPC", .jwtKit, .crypto, .nioCore, .logging, .subprocess]),
    tests(
      "Observability",
      ["Observability", "Identity", "InProcess", "EchoTestSupport", "RPC", .nioCore, .logging, .metricsTestKit]),
    tests(
      "Lifecycle",
      [
        "Lifecycle", "EncryptedStorage", "CivilTime", "Identity", "MemoryEngine", "Storage", "RPC",
        "ServiceTestSupport",
        .configuration, .argumentParser, .logging, .serviceLifecycle,
      ]),
    tests("CivilTime", ["CivilTime", "TestSupport", .subprocess]),
    // Shared by the suites of the services.
    .target(
      name: "ServiceTestSupport",
      dependencies: ["ServiceCore", "CivilTime", "Identity", "RPC", "TestSupport", .nioCore],
      path: "Tests/ServiceTests/Support/Services", swiftSettings: swiftSettings),
    tests(
      "ServiceCore",
      [
        "ServiceCore", "ServiceTestSupport", "CivilTime", "Identity", "MemoryEngine", "RPC", "StandardProtos",
        "Storage",
      ]),
    tests(
      "PatientService",
      [
        "PatientService", "ServiceTestSupport", "Contract", "CivilTime", "EmbeddedEngine", "Identity", "MemoryEngine",
        "RPC", "ServiceCore", "StandardProtos", "Storage", "TestSupport",
      ]),
    tests(
      "AppointmentService",
      [
        "AppointmentService", "ServiceTestSupport", "Contract", "StandardProtos", "RPC", "Identity", "Storage",
        "MemoryEngine", "EmbeddedEngine", "CivilTime", "ServiceCore", "TestSupport", .nioCore, .subprocess,
      ], exclude: ["recurrence_oracle.py"]),
  ]
)

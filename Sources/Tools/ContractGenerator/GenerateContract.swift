internal import ArgumentParser
internal import Foundation

/// Turns compiled proto files into Swift types and into the lowered descriptors that protoc-c compiles.
///
/// `proto/generate.sh` calls it; its doc comments say what each step is for.
@main
struct GenerateContract: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate-contract", abstract: "Generates Swift and lowered descriptors from a FileDescriptorSet.")

  @Option(help: "A FileDescriptorSet made by protoc with --include_imports --include_source_info.")
  var descriptorSet: String

  @Option(help: "Where to write the lowered FileDescriptorSet for protoc-c.")
  var lowered: String

  @Option(help: "The folder for C sources of the packages that the services use, beside those of protoc-c.")
  var cOutput: String

  @Option(help: "The folder for Swift sources of clinicavoice packages.")
  var contractOutput: String

  @Option(help: "The folder for Swift sources of google and grpc packages.")
  var standardOutput: String

  @Option(help: "The folder for C sources of grpc.testing.")
  var interopCOutput: String

  @Option(help: "The folder for Swift sources of grpc.testing.")
  var interopOutput: String

  func run() throws {
    let schema = try SchemaReader.read([UInt8](Data(contentsOf: URL(fileURLWithPath: descriptorSet))))
    try SchemaChecks.run(schema)
    try write(Lowering.descriptorSet(of: schema), to: lowered)

    let modules = GeneratedModule.allCases.map { ModuleEmitter(schema: schema, module: $0) }
      .filter { !$0.files.isEmpty }
    for module in modules { try writeSwift(module, of: schema) }
    for cModule in CModule.allCases {
      try writeC(cModule, modules.filter { $0.module.cModule == cModule }, of: schema)
    }
  }

  private func writeSwift(_ module: ModuleEmitter, of schema: Schema) throws {
    let folder =
      switch module.module {
      case .contract: contractOutput
      case .standard: standardOutput
      case .interop: interopOutput
      }
    try write(module.emit(), to: "\(folder)/\(module.name)Module.swift")
    for file in module.files {
      let stem = "\(folder)/\(CNames.stem(file.name))"
      if !file.allMessages.isEmpty || !file.allEnums.isEmpty {
        try write(TypeEmitter(schema: schema, file: file).emit(), to: stem + ".swift")
      }
      if !file.allMessages.isEmpty {
        try write(CodecEmitter(schema: schema, file: file).emit(), to: stem + "+Codec.swift")
      }
      for part in file.services.isEmpty ? [] : ServiceEmitter(schema: schema, file: file).emit() {
        try write(part.source, to: "\(stem)\(part.suffix).swift")
      }
    }
  }

  /// Writes what a C module has once, and prints a line `MODULE FILE` for each source that protoc-c makes of it.
  private func writeC(_ cModule: CModule, _ modules: [ModuleEmitter], of schema: Schema) throws {
    let folder =
      switch cModule {
      case .product: cOutput
      case .interop: interopCOutput
      }
    let files = schema.files.filter { $0.module.cModule == cModule }
    try write(
      CModuleEmitter.umbrella(of: cModule, files: files, declarations: modules.map { $0.emitHeader() }),
      to: "\(folder)/messages.h")
    try write(CModuleEmitter.descriptors(modules.map { $0.emitSource() }), to: "\(folder)/descriptors.c")
    for file in files where !file.messages.isEmpty { print("\(cModule.rawValue) \(CNames.file(file.name))") }
  }

  private func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

  private func write(_ bytes: [UInt8], to path: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }
}

internal import Contract
internal import RPC
internal import StandardProtos
internal import Testing

@testable internal import generate_contract

@Suite("Generated contract")
struct ContractTests {
  @Test("every message of the descriptors has a Swift type that calls itself by that name")
  func registryIsComplete() throws {
    let schema = try SchemaReader.read(ContractDescriptors.fileDescriptorSet)
    let names = schema.messages.values.filter { !$0.isMapEntry }.map(\.fullName)
    #expect(names.count > 100)
    for name in names {
      let type = try #require(ContractRegistry.messages[name] ?? StandardRegistry.messages[name], "\(name)")
      #expect(type.protoName == name)
    }
  }

  @Test("descriptors name each file after those it imports and hold no comments")
  func descriptorOrder() throws {
    var seen: Set<String> = []
    for file in try SchemaReader.read(ContractDescriptors.fileDescriptorSet).files {
      #expect(seen.isSuperset(of: file.dependencies), "\(file.name)")
      #expect(file.allMessages.allSatisfy { $0.comment.isEmpty })
      seen.insert(file.name)
    }
    #expect(seen.contains("google/protobuf/timestamp.proto"))
  }

  @Test("methods carry their path and kind")
  func methods() {
    #expect(
      PatientV1.PatientServiceMethods.createPatient.path == "/clinicavoice.patient.v1.PatientService/CreatePatient")
    #expect(PatientV1.PatientServiceMethods.createPatient.kind == .unary)
    #expect(PatientV1.PatientServiceMethods.watchPatients.kind == .serverStreaming)
    #expect(PatientV1.PatientServiceMethods.importPatients.kind == .bidirectionalStreaming)
  }

  @Test("a service registers each of its methods once, and one it leaves out answers UNIMPLEMENTED")
  func unimplemented() async throws {
    struct Empty: PatientV1.PatientService {}
    var registrar = RecordingRegistrar()
    Empty().registerMethods(with: &registrar)
    #expect(registrar.paths.map { String($0.split(separator: "/")[1]) } == Empty.serviceDescriptor.methods)
    let context = ServerContext(
      path: "", requestMetadata: [:], deadline: nil, peer: Peer(address: "in-process"), authority: "")
    let error = await #expect(throws: RPCError.self) {
      try await Empty().createPatient(PatientV1.CreatePatientRequest(), context: context)
    }
    #expect(error?.code == .unimplemented)
  }

  @Test("an enum knows its names and keeps numbers it does not know")
  func openEnums() {
    #expect(PatientV1.Gender.allKnown.count == 5)
    #expect(PatientV1.Gender.preferNotToSay.protoName == "GENDER_PREFER_NOT_TO_SAY")
    #expect(PatientV1.Gender(protoName: "GENDER_FEMALE") == .female)
    let unknown = PatientV1.Gender(rawValue: -7)
    #expect(!unknown.isKnown)
    #expect(unknown.rawValue == -7)
  }
}

private struct RecordingRegistrar: ServiceRegistrar {
  var paths: [String] = []

  mutating func registerUnary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ServerContext) async throws -> Output
  ) { paths.append(method.path) }

  mutating func registerServerStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ResponseWriter<Output>, ServerContext) async throws -> Void
  ) { paths.append(method.path) }

  mutating func registerClientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ServerContext) async throws -> Output
  ) { paths.append(method.path) }

  mutating func registerBidirectionalStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ResponseWriter<Output>, ServerContext) async throws -> Void
  ) { paths.append(method.path) }
}

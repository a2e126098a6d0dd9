package import RPC
package import StandardProtos

/// `grpc.reflection.v1.ServerReflection`: tells clients such as grpcurl and `buf curl` what is served. W60.
package struct ReflectionService: GRPCReflectionV1.ServerReflection {
  private let index: DescriptorIndex
  private let services: [String]

  /// - Parameters:
  ///   - services: what the server really serves, itself included.
  package init(index: DescriptorIndex, services: [String]) {
    self.index = index
    self.services = services
  }

  package func serverReflectionInfo(
    _ requests: MessageStream<GRPCReflectionV1.ServerReflectionRequest>,
    response: ResponseWriter<GRPCReflectionV1.ServerReflectionResponse>, context: ServerContext
  ) async throws {
    var answers = ReflectionAnswers(index: index, services: services)
    for try await request in requests {
      var reply = GRPCReflectionV1.ServerReflectionResponse()
      reply.validHost = request.host
      reply.originalRequest = request
      reply.messageResponse = .init(answers.answer(.init(request.messageRequest)))
      try await response.write(reply)
    }
  }

  /// The same service under its older name, `grpc.reflection.v1alpha`, which many clients still ask for: its messages
  /// differ in nothing but the package.
  package struct V1Alpha: RPCService {
    private let service: ReflectionService

    package init(_ service: ReflectionService) { self.service = service }

    package static var serviceDescriptor: ServiceDescriptor { GRPCReflectionV1Alpha.ServerReflectionMethods.service }

    package func registerMethods(with registrar: inout some ServiceRegistrar) {
      let method = MethodDescriptor<
        GRPCReflectionV1.ServerReflectionRequest, GRPCReflectionV1.ServerReflectionResponse
      >(
        service: Self.serviceDescriptor.name, name: "ServerReflectionInfo", kind: .bidirectionalStreaming)
      registrar.registerBidirectionalStreaming(method) { requests, response, context in
        try await service.serverReflectionInfo(requests, response: response, context: context)
      }
    }
  }
}

extension ReflectionService {
  /// Both versions of reflection for a server with these services, which see themselves and each other.
  ///
  /// - Parameter fileDescriptorSets: with the files of all services, health and reflection included.
  /// - Throws: ``DescriptorError`` when the sets cannot be served.
  package static func both(
    for services: [any RPCService], fileDescriptorSets: [[UInt8]]
  ) throws(DescriptorError) -> [any RPCService] {
    let index = try DescriptorIndex(fileDescriptorSets: fileDescriptorSets)
    let names = services.map { type(of: $0).serviceDescriptor.name }
    let service = ReflectionService(
      index: index, services: names + [Self.serviceDescriptor.name, V1Alpha.serviceDescriptor.name])
    return [service, V1Alpha(service)]
  }
}

extension ReflectionAnswers.Question {
  init(_ request: GRPCReflectionV1.ServerReflectionRequest.MessageRequest?) {
    switch request {
    case .fileByFilename(let name): self = .file(name: name)
    case .fileContainingSymbol(let symbol): self = .fileContainingSymbol(symbol)
    case .fileContainingExtension(let item):
      self = .fileContainingExtension(type: item.containingType, number: item.extensionNumber)
    case .allExtensionNumbersOfType(let type): self = .extensionNumbers(type: type)
    case .listServices: self = .services
    case nil: self = .unknown
    }
  }
}

extension GRPCReflectionV1.ServerReflectionResponse.MessageResponse {
  init(_ answer: ReflectionAnswers.Answer) {
    switch answer {
    case .files(let files):
      var response = GRPCReflectionV1.FileDescriptorResponse()
      response.fileDescriptorProto = files
      self = .fileDescriptorResponse(response)
    case .extensionNumbers(let type, let numbers):
      var response = GRPCReflectionV1.ExtensionNumberResponse()
      response.baseTypeName = type
      response.extensionNumber = numbers
      self = .allExtensionNumbersResponse(response)
    case .services(let names):
      var response = GRPCReflectionV1.ListServiceResponse()
      response.service = names.map { name in
        var item = GRPCReflectionV1.ServiceResponse()
        item.name = name
        return item
      }
      self = .listServicesResponse(response)
    case .error(let code, let message):
      var response = GRPCReflectionV1.ErrorResponse()
      response.errorCode = code
      response.errorMessage = message
      self = .errorResponse(response)
    }
  }
}

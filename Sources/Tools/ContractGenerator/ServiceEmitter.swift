/// Writes method descriptors, the server protocol and the typed client of each service of a proto file.
struct ServiceEmitter {
  let schema: Schema
  let file: ProtoFile

  /// The source of each part, by the end of its file's name.
  func emit() -> [(suffix: String, source: String)] {
    [("+Methods", source(emitMethods)), ("+Server", source(emitServer)), ("+Client", source(emitClient))]
  }

  private func source(_ emitPart: (ServiceType, inout CodeWriter) -> Void) -> String {
    var out = CodeWriter()
    out.header(source: file.name)
    out.line("package import RPC")
    let types = file.services.flatMap(\.methods).flatMap { [$0.input, $0.output] }
    if file.module.isAboveStandard, schema.refersToStandardProtos(types) {
      out.line("package import StandardProtos")
    }
    for service in file.services { emitPart(service, &out) }
    return out.text
  }

  private var namespace: String { SwiftNames.namespace(file.package) }

  private func type(_ fullName: String) -> String {
    SwiftNames.type(fullName, package: schema.messages[fullName]?.package ?? "")
  }

  private func emitMethods(_ service: ServiceType, _ out: inout CodeWriter) {
    out.line()
    out.block("extension \(namespace)") { out in
      out.line("/// The methods of `\(service.fullName)`.")
      out.block("package enum \(service.name)Methods") { out in
        out.line("package static let service = ServiceDescriptor(")
        out.line("  name: \"\(service.fullName)\", file: \"\(file.name)\",")
        let names = service.methods.map { "\"\($0.name)\"" }
        out.line("  methods: [\(names.joined(separator: ", "))])")
        for method in service.methods {
          out.line()
          out.doc(method.comment)
          out.line(
            "package static let \(SwiftNames.method(method.name)) = "
              + "MethodDescriptor<\(type(method.input)), \(type(method.output))>(")
          out.line("  service: \"\(service.fullName)\", name: \"\(method.name)\", kind: .\(method.kind))")
        }
      }
    }
  }

  private func emitServer(_ service: ServiceType, _ out: inout CodeWriter) {
    emitProtocol(of: service, into: &out)
    emitDefaults(of: service, into: &out)
  }

  private func emitProtocol(of service: ServiceType, into out: inout CodeWriter) {
    out.line()
    out.block("extension \(namespace)") { out in
      out.doc(service.comment)
      out.line("///")
      out.line("/// The server's side. A method that an implementation leaves out answers `UNIMPLEMENTED`.")
      out.block("package protocol \(service.name): RPCService") { out in
        for (index, method) in service.methods.enumerated() {
          if index > 0 { out.line() }
          out.doc(method.comment)
          emitSignature(of: method, prefix: "", suffix: "", into: &out)
        }
      }
    }
  }

  private func emitDefaults(of service: ServiceType, into out: inout CodeWriter) {
    out.line()
    out.block("extension \(namespace).\(service.name)") { out in
      out.block("package static var serviceDescriptor: ServiceDescriptor") { out in
        out.line("\(namespace).\(service.name)Methods.service")
      }
      out.line()
      out.block("package func registerMethods(with registrar: inout some ServiceRegistrar)") { out in
        for method in service.methods {
          let name = SwiftNames.method(method.name)
          out.block("registrar.\(method.registration)(\(namespace).\(service.name)Methods.\(name))") { out in
            let call =
              switch (method.clientStreaming, method.serverStreaming) {
              case (false, false): "request, context in\n  try await self.\(name)(request, context: context)"
              case (false, true):
                "request, response, context in\n"
                  + "  try await self.\(name)(request, response: response, context: context)"
              case (true, false): "requests, context in\n  try await self.\(name)(requests, context: context)"
              case (true, true):
                "requests, response, context in\n"
                  + "  try await self.\(name)(requests, response: response, context: context)"
              }
            for line in call.split(separator: "\n") { out.line(String(line)) }
          }
        }
      }
      for method in service.methods {
        out.line()
        emitSignature(of: method, prefix: "package ", suffix: " {", into: &out)
        out.line("  throw RPCError(.unimplemented, \"\(service.fullName)/\(method.name) is not implemented.\")")
        out.line("}")
      }
    }
  }

  private func emitSignature(
    of method: ServiceType.Method, prefix: String, suffix: String, into out: inout CodeWriter
  ) {
    let request =
      method.clientStreaming
      ? "_ requests: MessageStream<\(type(method.input))>" : "_ request: \(type(method.input))"
    let response = method.serverStreaming ? "response: ResponseWriter<\(type(method.output))>, " : ""
    let result = method.serverStreaming ? "" : " -> \(type(method.output))"
    out.line("\(prefix)func \(SwiftNames.method(method.name))(")
    out.line("  \(request), \(response)context: ServerContext")
    out.line(") async throws\(result)\(suffix)")
  }

  private func emitClient(_ service: ServiceType, _ out: inout CodeWriter) {
    out.line()
    out.block("extension \(namespace)") { out in
      out.doc(service.comment)
      out.line("///")
      out.line("/// The client's side: calls over any channel.")
      out.block("package struct \(service.name)Client: Sendable") { out in
        out.line("package let channel: any RPCChannel")
        out.line()
        out.line("package init(channel: any RPCChannel) { self.channel = channel }")
        for method in service.methods {
          out.line()
          out.doc(method.comment)
          emitCall(of: method, in: service, into: &out)
        }
      }
    }
  }

  private func emitCall(of method: ServiceType.Method, in service: ServiceType, into out: inout CodeWriter) {
    let name = SwiftNames.method(method.name)
    let descriptor = "\(namespace).\(service.name)Methods.\(name)"
    let input = type(method.input)
    let output = type(method.output)
    let requests = "requests: @escaping @Sendable (RequestWriter<\(input)>) async throws -> Void"
    let body = "body: @Sendable (ClientStream<\(output)>) async throws -> Result"
    switch (method.clientStreaming, method.serverStreaming) {
    case (false, false):
      out.line("package func \(name)(")
      out.line("  _ request: \(input), options: CallOptions = .init()")
      out.line(") async throws(RPCError) -> \(output) {")
      out.line("  try await channel.unary(\(descriptor), request, options: options).message")
    case (false, true):
      out.line("package func \(name)<Result: Sendable>(")
      out.line("  _ request: \(input), options: CallOptions = .init(),")
      out.line("  \(body)")
      out.line(") async throws -> Result {")
      out.line("  try await channel.serverStreaming(\(descriptor), request, options: options, body: body)")
    case (true, false):
      out.line("package func \(name)(")
      out.line("  options: CallOptions = .init(),")
      out.line("  \(requests)")
      out.line(") async throws(RPCError) -> \(output) {")
      out.line("  try await channel.clientStreaming(\(descriptor), options: options, requests: requests).message")
    case (true, true):
      out.line("package func \(name)<Result: Sendable>(")
      out.line("  options: CallOptions = .init(),")
      out.line("  \(requests),")
      out.line("  \(body)")
      out.line(") async throws -> Result {")
      out.line("  try await channel.bidirectionalStreaming(")
      out.line("    \(descriptor), options: options, requests: requests, body: body)")
    }
    out.line("}")
  }
}

extension ServiceType.Method {
  fileprivate var kind: String {
    switch (clientStreaming, serverStreaming) {
    case (false, false): "unary"
    case (true, false): "clientStreaming"
    case (false, true): "serverStreaming"
    case (true, true): "bidirectionalStreaming"
    }
  }

  fileprivate var registration: String {
    "register" + kind.prefix(1).uppercased() + kind.dropFirst()
  }
}

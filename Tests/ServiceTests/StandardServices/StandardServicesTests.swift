import InProcess
import RPC
import StandardProtos
import StandardServices
import Testing

/// Health and reflection as a client sees them.
@Suite(.timeLimit(.minutes(5))) struct StandardServicesTests {
  private func withHealth(
    _ health: HealthStatus, _ body: (GRPCHealthV1.HealthClient, InProcessServer) async throws -> Void
  ) async throws {
    let server = InProcessServer(services: [HealthService(health)])
    do { try await body(GRPCHealthV1.HealthClient(channel: server.channel), server) } catch {
      await server.close()
      throw error
    }
    await server.close()
  }

  private func request(_ service: String) -> GRPCHealthV1.HealthCheckRequest {
    var request = GRPCHealthV1.HealthCheckRequest()
    request.service = service
    return request
  }

  @Test("Check tells the status, and NOT_FOUND for what is unknown (W58)")
  func check() async throws {
    let health = HealthStatus(services: ["a.B"], initial: .serving)
    health.set(.notServing, for: "a.B")
    try await withHealth(health) { client, _ in
      let whole = try await client.check(request(""))
      #expect(whole.status == .serving)
      let one = try await client.check(request("a.B"))
      #expect(one.status == .notServing)
      do throws(RPCError) {
        _ = try await client.check(request("c.D"))
        Issue.record("expected NOT_FOUND")
      } catch { #expect(error.code == .notFound) }
    }
  }

  @Test("List tells all, up to 100 (W58)")
  func list() async throws {
    let health = HealthStatus(services: (1..<100).map { "s.S\($0)" }, initial: .serving)
    try await withHealth(health) { client, _ in
      let response = try await client.list(GRPCHealthV1.HealthListRequest())
      #expect(response.statuses.count == 100)
      #expect(response.statuses["s.S7"]?.status == .serving)
      health.set(.serving, for: "one.TooMany")
      do throws(RPCError) {
        _ = try await client.list(GRPCHealthV1.HealthListRequest())
        Issue.record("expected RESOURCE_EXHAUSTED")
      } catch { #expect(error.code == .resourceExhausted) }
    }
  }

  @Test("Watch tells changes, and ends with the drain after NOT_SERVING (W58)")
  func watch() async throws {
    let health = HealthStatus(services: ["a.B"], initial: .notServing)
    try await withHealth(health) { client, _ in
      try await client.watch(request("a.B")) { stream in
        var messages = stream.messages.makeAsyncIterator()
        let status1 = try await messages.next()?.status
        #expect(status1 == .notServing)
        health.setAll(.serving)
        let status2 = try await messages.next()?.status
        #expect(status2 == .serving)
        health.beginDrain()
        let status3 = try await messages.next()?.status
        #expect(status3 == .notServing)
        do {
          _ = try await messages.next()
          Issue.record("expected the end")
        } catch { #expect((error as? RPCError)?.code == .unavailable) }
      }
    }
  }

  @Test("a watch that its client leaves is forgotten by the server")
  func leave() async throws {
    let health = HealthStatus()
    try await withHealth(health) { client, _ in
      try await client.watch(request("late")) { stream in
        var messages = stream.messages.makeAsyncIterator()
        let status4 = try await messages.next()?.status
        #expect(status4 == .serviceUnknown)
      }
      while health.watcherCount > 0 { await Task.yield() }
    }
  }

  // MARK: Reflection

  private func ask(
    _ requests: [GRPCReflectionV1.ServerReflectionRequest], of service: String
  ) async throws -> [GRPCReflectionV1.ServerReflectionResponse] {
    let health = HealthService(HealthStatus())
    let services =
      try [health] + ReflectionService.both(for: [health], fileDescriptorSets: [StandardDescriptors.fileDescriptorSet])
    let server = InProcessServer(services: services)
    let method = MethodDescriptor<GRPCReflectionV1.ServerReflectionRequest, GRPCReflectionV1.ServerReflectionResponse>(
      service: service, name: "ServerReflectionInfo", kind: .bidirectionalStreaming)
    let responses = try await server.channel.bidirectionalStreaming(method, options: .init()) { writer in
      for request in requests { try await writer.write(request) }
    } body: { stream in
      var responses: [GRPCReflectionV1.ServerReflectionResponse] = []
      for try await response in stream.messages { responses.append(response) }
      return responses
    }
    await server.close()
    return responses
  }

  @Test(
    "both versions answer each request once, in order, with the request echoed (W60)",
    arguments: ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"])
  func reflection(service: String) async throws {
    var list = GRPCReflectionV1.ServerReflectionRequest()
    list.host = "here"
    list.messageRequest = .listServices("")
    var symbol = GRPCReflectionV1.ServerReflectionRequest()
    symbol.messageRequest = .fileContainingSymbol("grpc.health.v1.Health.Check")
    var missing = GRPCReflectionV1.ServerReflectionRequest()
    missing.messageRequest = .fileByFilename("nothing.proto")

    let responses = try await ask([list, symbol, missing], of: service)
    #expect(responses.map(\.originalRequest) == [list, symbol, missing])
    #expect(responses.first?.validHost == "here")
    guard responses.count == 3, case .listServicesResponse(let services) = responses[0].messageResponse,
      case .fileDescriptorResponse(let files) = responses[1].messageResponse,
      case .errorResponse(let error) = responses[2].messageResponse
    else {
      Issue.record("unexpected answers: \(responses)")
      return
    }
    #expect(
      services.service.map(\.name) == [
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
      ])
    // Field 1 of the descriptor is its name: a tag, a length, the text.
    let name = Array("grpc/health/v1/health.proto".utf8)
    #expect(files.fileDescriptorProto.first?.starts(with: [0x0A, UInt8(name.count)] + name) == true)
    #expect(error.errorCode == 5)
  }
}

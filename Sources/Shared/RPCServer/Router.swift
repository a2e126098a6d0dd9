internal import NIOCore
package import RPC

/// Finds the handler of a path. Built once, then only read.
package struct Router: Sendable {
  /// One method that is served.
  final class Route: Sendable {
    let path: String
    let kind: MethodKind
    /// Runs the handler on a call; the call's interceptors are around it already.
    let run: @Sendable (ServerCall) async throws -> Void

    init(path: String, kind: MethodKind, run: @escaping @Sendable (ServerCall) async throws -> Void) {
      self.path = path
      self.kind = kind
      self.run = run
    }
  }

  private var routes: [Route] = []
  /// The bytes of each route's path.
  private var paths: [[UInt8]] = []
  /// Open addressing by a hash of the path: `slots[hash & mask]` is an index into `routes`, or -1.
  private var slots: [Int32] = [Int32](repeating: -1, count: 16)
  package private(set) var services: [ServiceDescriptor] = []

  package init(_ services: [any RPCService]) {
    for service in services {
      self.services.append(type(of: service).serviceDescriptor)
      service.registerMethods(with: &self)
    }
  }

  /// The route of exactly this path, bytes compared with bytes (W6; CVE-2026-33186's lesson: what is routed is what
  /// interceptors see).
  func route(_ path: UnsafeBufferPointer<UInt8>) -> Route? {
    let mask = slots.count - 1
    var slot = Self.hash(path) & mask
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if Self.areEqual(paths[index], path) { return routes[index] }
      slot = (slot + 1) & mask
    }
    return nil
  }

  private mutating func add(_ route: Route) {
    routes.append(route)
    paths.append(Array(route.path.utf8))
    while slots.count < routes.count * 4 { slots = [Int32](repeating: -1, count: slots.count * 2) }
    for slot in slots.indices { slots[slot] = -1 }
    let mask = slots.count - 1
    // The first registration of a path wins: it is found first.
    for (index, path) in paths.enumerated() {
      var slot = path.withUnsafeBufferPointer(Self.hash) & mask
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = Int32(index)
    }
  }

  /// FNV-1a. The keys are ours, so that nobody can provoke collisions among them.
  private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: hash >> 7) & Int.max
  }

  private static func areEqual(_ path: [UInt8], _ other: UnsafeBufferPointer<UInt8>) -> Bool {
    guard path.count == other.count else { return false }
    for index in other.indices where path[index] != other[index] { return false }
    return true
  }
}

extension Router: ServiceRegistrar {
  package mutating func registerUnary<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ServerContext) async throws -> Output
  ) {
    add(
      Route(path: method.path, kind: .unary) { call in
        let response = try await handler(call.takeRequest(), call.context)
        if try !call.respondOnLoop(response) { try await call.respond(response) }
      })
  }

  package mutating func registerServerStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (Input, ResponseWriter<Output>, ServerContext) async throws -> Void
  ) {
    add(
      Route(path: method.path, kind: .serverStreaming) { call in
        try await handler(call.takeRequest(), ResponseWriter(sink: call), call.context)
      })
  }

  package mutating func registerClientStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ServerContext) async throws -> Output
  ) {
    add(
      Route(path: method.path, kind: .clientStreaming) { call in
        let response = try await handler(MessageStream(source: call), call.context)
        if try !call.respondOnLoop(response) { try await call.respond(response) }
      })
  }

  package mutating func registerBidirectionalStreaming<Input, Output>(
    _ method: MethodDescriptor<Input, Output>,
    handler: @escaping @Sendable (MessageStream<Input>, ResponseWriter<Output>, ServerContext) async throws -> Void
  ) {
    add(
      Route(path: method.path, kind: .bidirectionalStreaming) { call in
        try await handler(MessageStream(source: call), ResponseWriter(sink: call), call.context)
      })
  }
}

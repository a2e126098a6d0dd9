package import RPC

/// Who may call which RPC of one service process, as data.
///
/// It decides by method path and role alone, before a request is read; what of a partition the caller may touch is
/// decided by the handlers. A path without an entry is closed. Source: DOMAIN 1, REQUIREMENTS S188.
package struct AccessPolicy: Sendable {
  /// Who may call one RPC.
  package enum Rule: Sendable, Hashable {
    /// Needs no credentials, and none are looked at.
    case open
    /// Needs credentials of one of these roles.
    case roles(Set<Principal.Role>)
  }

  /// Why a call is refused. The caller is told the same in every case.
  package enum Refusal: Error, Sendable, Hashable {
    /// The role is not among those of the RPC.
    case role
    /// This service is limited to other RPCs.
    case service
    /// Nobody may call the RPC: the table has no entry for it.
    case noEntry
  }

  /// Domain of this process's `ErrorInfo` details, such as `patient.clinicavoice`. Source: DOMAIN 10.
  package let domain: String
  /// By method path, `/package.Service/Method`.
  package let rules: [String: Rule]
  /// The services that may call fewer RPCs than their role may, by name, with the paths that remain.
  package let serviceLimits: [String: Set<String>]

  package init(domain: String, rules: [String: Rule], serviceLimits: [String: Set<String>] = [:]) {
    self.domain = domain
    self.rules = rules
    self.serviceLimits = serviceLimits
  }

  package func isOpen(_ path: String) -> Bool { rules[path] == .open }

  /// - Throws: why `principal` may not call the RPC at `path`.
  package func authorize(_ principal: Principal, path: String) throws(Refusal) {
    switch rules[path] {
    case .open: return
    case nil: throw .noEntry
    case .roles(let roles):
      guard roles.contains(principal.role) else { throw .role }
      guard principal.role == .service, let paths = serviceLimits[principal.id] else { return }
      guard paths.contains(path) else { throw .service }
    }
  }

  /// The paths of `services` that have no entry, sorted: nobody could call them, so a server refuses to start.
  package func missingEntries(for services: [ServiceDescriptor]) -> [String] {
    services.flatMap(\.paths).filter { rules[$0] == nil }.sorted()
  }
}

extension ServiceDescriptor {
  /// `/package.Service/Method` of each method.
  package var paths: [String] { methods.map { "/\(name)/\($0)" } }
}

extension AccessPolicy {
  /// Health and reflection, which every process serves to everybody.
  static let infrastructure: [String: Rule] = [
    "/grpc.health.v1.Health/Check": .open,
    "/grpc.health.v1.Health/Watch": .open,
    "/grpc.health.v1.Health/List": .open,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": .open,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": .open,
  ]

  /// The rules of `service`'s methods, added to `rules`.
  static func entries(of service: String, _ rules: [(Rule, [String])]) -> [String: Rule] {
    var entries: [String: Rule] = [:]
    for (rule, methods) in rules {
      for method in methods { entries["/\(service)/\(method)"] = rule }
    }
    return entries
  }
}

extension AccessPolicy.Rule {
  /// Clinicians and those who act for them.
  static let staff: Self = .roles([.clinician, .delegate])
  static let staffAndServices: Self = .roles([.clinician, .delegate, .service])
  static let services: Self = .roles([.service])
  static let everyRole: Self = .roles(Set(Principal.Role.allCases))
}

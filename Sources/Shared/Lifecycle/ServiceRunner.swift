struct ServiceRunner<Definition: ServiceDefinition> {
  let configuration: ServeConfiguration
  init(_ configuration: ServeConfiguration) { self.configuration = configuration }
  func run() async throws(LaunchFailure) {}
}

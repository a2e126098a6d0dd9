internal import ArgumentParser
internal import EchoTestSupport
internal import Foundation
internal import NIOCore
internal import RPC
internal import RPCClient
internal import Synchronization

/// Many callers at once, each call after the other, until standard input ends; then prints what came of all calls.
///
/// Prints `calling` once every caller has had an answer.
struct Load: AsyncParsableCommand {
  @OptionGroup var options: TargetOptions
  @Option(help: "How many call at the same time.") var callers = 64
  @Option(help: "The deadline of each call.") var timeoutMillis: Int64 = 20_000
  @Option(help: "The method.") var method = "Unary"

  struct Outcome: Encodable {
    var ok = 0
    var failed: [String: Int] = [:]
    /// Failures by what they said.
    var messages: [String: Int] = [:]
    /// Calls by the server that answered them, as it names itself.
    var servers: [String: Int] = [:]
  }

  /// What all callers share.
  final class Run: Sendable {
    let outcome = Mutex(Outcome())
    let isStopping = Atomic(false)
    let answered = Atomic(0)
  }

  func run() async throws {
    let channel = try options.channel()
    let run = Run()
    Thread.detachNewThread {
      while readLine() != nil {}
      run.isStopping.store(true, ordering: .relaxed)
    }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<callers { group.addTask { await call(channel, run) } }
    }
    await channel.close()
    try report(run.outcome.withLock { $0 })
  }

  private func call(_ channel: RPCClientChannel, _ run: Run) async {
    let unary = MethodDescriptor<Text, Text>(service: "test.Echo", name: method, kind: .unary)
    var isFirst = true
    while !run.isStopping.load(ordering: .relaxed) {
      let options = CallOptions(deadline: .now() + .milliseconds(timeoutMillis))
      do throws(RPCError) {
        let server = try await channel.unary(unary, "ping", options: options).message.value
        run.outcome.withLock { outcome in
          outcome.ok += 1
          outcome.servers[server, default: 0] += 1
        }
      } catch {
        run.outcome.withLock { outcome in
          outcome.failed["\(error.code)", default: 0] += 1
          outcome.messages[error.message, default: 0] += 1
        }
      }
      guard isFirst else { continue }
      isFirst = false
      if run.answered.wrappingAdd(1, ordering: .relaxed).newValue == callers {
        say("calling")
      }
    }
  }
}

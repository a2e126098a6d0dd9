internal import ArgumentParser
internal import Auth
internal import CivilTime
internal import FoundationEssentials
internal import Identity

/// Prints a locally signed token, which a service accepts in development only.
struct DevTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev-token", abstract: "Print a locally signed token for development.",
    discussion: "The key is one that `deploy/scripts/make-dev-pki` made; services know it by the key set beside it.")

  @Option(help: ArgumentHelp("The ES256 private key that signs, PEM.", valueName: "file"))
  var signingKey: String

  @Option(help: ArgumentHelp("clinician, delegate, patient or service.", valueName: "role"))
  var role: Principal.Role

  @Option(help: ArgumentHelp("The subject: who the token stands for.", valueName: "id"))
  var sub: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Of a delegate: the clinicians it acts for.", valueName: "id"))
  var actsFor: [String] = []

  @Option(help: ArgumentHelp("The subject's IANA time zone.", valueName: "zone"))
  var zoneinfo: String?

  @Option(help: ArgumentHelp("How long the token is good.", valueName: "duration"))
  var ttl = "1h"

  @Option(help: ArgumentHelp("Its issuer.", valueName: "url"))
  var issuer = DevTokenSigner.issuer

  @Option(help: ArgumentHelp("The client id it was made for.", valueName: "id"))
  var audience = DevTokenSigner.audience

  func run() async throws {
    do throws(LaunchFailure) {
      CommandOutput.line(try await token())
    } catch {
      throw error.report()
    }
  }

  private func token() async throws(LaunchFailure) -> String {
    guard let lifetime = DurationText.parse(ttl), lifetime >= .seconds(1) else {
      throw LaunchFailure(.configuration, "The value \"\(ttl)\" of --ttl is not a duration such as 1h.")
    }
    guard actsFor.isEmpty || role == .delegate else {
      throw LaunchFailure(.configuration, "--acts-for is for the role delegate.")
    }
    guard let data = try? Data(contentsOf: URL(filePath: signingKey)) else {
      throw LaunchFailure(.configuration, "The signing key \(signingKey) cannot be read.")
    }
    let subject = DevTokenSigner.Subject(id: sub, role: role, actsFor: actsFor, timeZone: zoneinfo)
    do throws(DevTokenError) {
      let signer = try await DevTokenSigner(pem: String(decoding: data, as: UTF8.self))
      return try signer.sign(
        subject, issuer: issuer, audience: audience, now: WallClock.system.now().seconds,
        seconds: lifetime.components.seconds)
    } catch {
      throw LaunchFailure(.configuration, "The signing key \(signingKey) \(error.description).")
    }
  }
}

extension Principal.Role: ExpressibleByArgument {}

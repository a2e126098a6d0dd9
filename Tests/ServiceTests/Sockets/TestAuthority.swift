import Crypto
import Foundation
import Sockets
import X509

/// A certificate authority that lives as long as a test, and writes what it issues to files.
final class TestAuthority {
  let directory: URL
  private let key = P256.Signing.PrivateKey()
  private let certificate: Certificate
  let authorityFile: String

  init(name: String = "test authority") throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "sockets-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let subject = try DistinguishedName { CommonName(name) }
    certificate = try Self.certificate(
      subject: subject, key: key.publicKey, issuer: subject, issuerKey: key,
      extensions: Certificate.Extensions { Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil)) })
    authorityFile = directory.appending(path: "ca.pem").path
    try certificate.serializeAsPEM().pemString.write(toFile: authorityFile, atomically: true, encoding: .utf8)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Issues a certificate and writes it and its key to `NAME.pem` and `NAME.key`, over what was there.
  func issue(_ name: String, _ names: [GeneralName]) throws -> TLSIdentityFiles {
    let leafKey = P256.Signing.PrivateKey()
    let leaf = try Self.certificate(
      subject: try DistinguishedName { CommonName(name) }, key: leafKey.publicKey, issuer: certificate.subject,
      issuerKey: key, extensions: Certificate.Extensions { SubjectAlternativeNames(names) })
    let files = TLSIdentityFiles(
      certificateChain: directory.appending(path: "\(name).pem").path,
      privateKey: directory.appending(path: "\(name).key").path)
    try leaf.serializeAsPEM().pemString.write(toFile: files.certificateChain, atomically: true, encoding: .utf8)
    try leafKey.pemRepresentation.write(toFile: files.privateKey, atomically: true, encoding: .utf8)
    return files
  }

  private static func certificate(
    subject: DistinguishedName, key: P256.Signing.PublicKey, issuer: DistinguishedName,
    issuerKey: P256.Signing.PrivateKey, extensions: Certificate.Extensions
  ) throws -> Certificate {
    let now = Date()
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key),
      notValidBefore: now.addingTimeInterval(-3600), notValidAfter: now.addingTimeInterval(3600), issuer: issuer,
      subject: subject, signatureAlgorithm: .ecdsaWithSHA256, extensions: extensions,
      issuerPrivateKey: Certificate.PrivateKey(issuerKey))
  }
}

import Crypto
import Foundation
import Sockets
import X509

/// A certificate authority of one test run, with its files in a directory of their own.
final class TestAuthority {
  let directory: URL
  private let key = P256.Signing.PrivateKey()
  private let name: DistinguishedName
  let certificateFile: String

  init(_ commonName: String = "test authority") throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("rpc-client-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    name = try DistinguishedName { CommonName(commonName) }
    let certificate = try Self.certificate(
      subject: name, key: key, issuer: name, issuerKey: key,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
      })
    certificateFile = directory.appendingPathComponent("ca.pem").path
    try certificate.serializeAsPEM().pemString.write(toFile: certificateFile, atomically: true, encoding: .utf8)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Writes a certificate and its key.
  func issue(_ file: String, names: [GeneralName]) throws -> TLSIdentityFiles {
    let leafKey = P256.Signing.PrivateKey()
    let certificate = try Self.certificate(
      subject: try DistinguishedName { CommonName(file) }, key: leafKey, issuer: name, issuerKey: key,
      extensions: try Certificate.Extensions {
        SubjectAlternativeNames(names)
        try ExtendedKeyUsage([.serverAuth, .clientAuth])
      })
    let files = TLSIdentityFiles(
      certificateChain: directory.appendingPathComponent("\(file).pem").path,
      privateKey: directory.appendingPathComponent("\(file).key").path)
    try certificate.serializeAsPEM().pemString.write(toFile: files.certificateChain, atomically: true, encoding: .utf8)
    try leafKey.pemRepresentation.write(toFile: files.privateKey, atomically: true, encoding: .utf8)
    return files
  }

  private static func certificate(
    subject: DistinguishedName, key: P256.Signing.PrivateKey, issuer: DistinguishedName,
    issuerKey: P256.Signing.PrivateKey, extensions: Certificate.Extensions
  ) throws -> Certificate {
    try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
      notValidBefore: Date(timeIntervalSinceNow: -3600), notValidAfter: Date(timeIntervalSinceNow: 3600),
      issuer: issuer, subject: subject, signatureAlgorithm: .ecdsaWithSHA256, extensions: extensions,
      issuerPrivateKey: .init(issuerKey))
  }
}

internal import NIOSSL

/// Where a certificate and its key are, as PEM files.
package struct TLSIdentityFiles: Sendable, Hashable {
  /// The certificate, followed by its intermediates.
  package var certificateChain: String
  package var privateKey: String

  package init(certificateChain: String, privateKey: String) {
    self.certificateChain = certificateChain
    self.privateKey = privateKey
  }
}

/// TLS of a server.
package struct ServerTLSFiles: Sendable, Hashable {
  package var identity: TLSIdentityFiles
  /// Authorities that client certificates must come from, as a PEM file. `nil`: clients show none.
  package var clientAuthorities: String?
  /// Whether a client without a certificate is refused in the handshake. One with a certificate that does not verify
  /// always is.
  package var requiresClientCertificate: Bool

  package init(identity: TLSIdentityFiles, clientAuthorities: String? = nil, requiresClientCertificate: Bool = false) {
    self.identity = identity
    self.clientAuthorities = clientAuthorities
    self.requiresClientCertificate = requiresClientCertificate
  }
}

/// TLS of a client.
package struct ClientTLSFiles: Sendable, Hashable {
  /// Authorities that the server's certificate must come from. `nil`: those of the system.
  package var serverAuthorities: String?
  /// What the client shows when asked (mTLS).
  package var identity: TLSIdentityFiles?
  /// The name to ask for (SNI) and to verify, where it is not that of the target.
  package var serverName: String?

  package init(serverAuthorities: String? = nil, identity: TLSIdentityFiles? = nil, serverName: String? = nil) {
    self.serverAuthorities = serverAuthorities
    self.identity = identity
    self.serverName = serverName
  }
}

/// Why TLS cannot be set up: which file, and what is wrong with it.
package struct TLSFilesError: Error, Sendable, Hashable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) { self.description = description }
}

extension TLSIdentityFiles {
  /// Reads both files and checks that they belong together.
  func load() throws(TLSFilesError) -> (chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
    let chain = try loadCertificates(certificateChain, purpose: "TLS certificate")
    let key: NIOSSLPrivateKey
    do {
      key = try NIOSSLPrivateKey(file: privateKey, format: .pem)
    } catch {
      throw unreadable(privateKey, "TLS private key", error)
    }
    guard let leaf = chain.first, Self.matches(leaf, key) else {
      throw TLSFilesError(
        "The TLS private key in \(privateKey) does not belong to the certificate in \(certificateChain).")
    }
    return (chain, key)
  }

  /// A context can be made of them only if the key signs for the certificate.
  private static func matches(_ certificate: NIOSSLCertificate, _ key: NIOSSLPrivateKey) -> Bool {
    let configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
    return (try? NIOSSLContext(configuration: configuration)) != nil
  }
}

/// All certificates of a PEM file, of which there must be one at least.
func loadCertificates(_ path: String, purpose: String) throws(TLSFilesError) -> [NIOSSLCertificate] {
  let certificates: [NIOSSLCertificate]
  do {
    certificates = try NIOSSLCertificate.fromPEMFile(path)
  } catch {
    throw unreadable(path, purpose, error)
  }
  guard !certificates.isEmpty else { throw TLSFilesError("The \(purpose) file \(path) holds no certificate.") }
  return certificates
}

private func unreadable(_ path: String, _ purpose: String, _ error: any Error) -> TLSFilesError {
  TLSFilesError("The \(purpose) file \(path) is missing, unreadable or not PEM (\(error)).")
}

"""Makes tokens.json: keys and tokens by PyJWT and cryptography, an implementation that is not ours.

Usage: python make_tokens.py tokens.json   (needs pyjwt and cryptography)

The name of a refused token is the fault it must be refused with, and after a dot its variant.
The private keys are thrown away; every run makes new ones.
"""
import json, sys, base64, hashlib, hmac
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives import serialization
import jwt
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
ec_key = ec.generate_private_key(ec.SECP256R1()); ec_other = ec.generate_private_key(ec.SECP256R1())
rsa_key = rsa.generate_private_key(65537, 2048)
def jwk(alg, key, kid, name):
    d = alg.to_jwk(key.public_key(), as_dict=True); d.pop("key_ops", None)
    return {**d, "kid": kid, "use": "sig", "alg": name}
ecj = jwk(ECAlgorithm, ec_key, "ec-1", "ES256"); rsaj = jwk(RSAAlgorithm, rsa_key, "rsa-1", "RS256")
ecj2 = jwk(ECAlgorithm, ec_other, "ec-2", "ES256")
skipped = [{"kty":"oct","kid":"secret","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
  {**ecj2, "kid":"encryption","use":"enc"}]
FAR = 7258118400  # 2200-01-01
base = {"iss":"https://issuer.example/pool","sub":"3f0c1d2e-0000-4000-8000-000000000001","token_use":"access","client_id":"portal","exp":FAR,"custom:user_type":"clinician"}
def es(claims=None, kid="ec-1", key=ec_key, headers=None, **over):
    c = {**base, **(claims or {}), **over}; c = {k:v for k,v in c.items() if v is not None}
    return jwt.encode(c, key, "ES256", headers={"kid":kid, **(headers or {})})
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
def raw(header, claims, sig=b""):
    s = b64(json.dumps(header).encode())+"."+b64(json.dumps(claims).encode()); return s, s+"."+b64(sig)
t = {}
t["clinician"] = es()
t["clinicianRS256"] = jwt.encode({**base, "token_use":"id","aud":"portal","client_id":None}, rsa_key, "RS256", headers={"kid":"rsa-1"})
t["idWithAudienceList"] = es(token_use="id", client_id=None, aud=["other","portal"])
t["accessWithAudience"] = es(client_id=None, aud="portal", headers=None)
t["delegate"] = es({"custom:user_type":"delegate","custom:acts_for":["clinician-a","clinician-b"]}, zoneinfo="America/Bogota")
t["delegateWithTextList"] = es({"custom:user_type":"delegate","custom:acts_for":"clinician-a, clinician-b"})
t["patient"] = es({"custom:user_type":"patient"}, zoneinfo="Europe/Madrid")
t["service"] = es({"custom:user_type":"service"}, sub="appointment-service")
t["oddZone"] = es(zoneinfo="../../etc/passwd\n")
t["secondKey"] = es(kid="ec-2", key=ec_other)
# refused
r = {}
r["algorithmRefused.none"] = raw({"alg":"none","kid":"ec-1"}, base)[1]
s,_ = raw({"alg":"HS256","kid":"rsa-1","typ":"JWT"}, base)
pub = rsa_key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
r["algorithmRefused.hs256WithPublicKey"] = s+"."+b64(hmac.new(pub, s.encode(), hashlib.sha256).digest())
r["algorithmRefused.rs512"] = jwt.encode(base, rsa_key, "RS512", headers={"kid":"rsa-1"})
r["algorithmRefused.keyOfOtherKind"] = jwt.encode(base, rsa_key, "RS256", headers={"kid":"ec-1"})
r["unknownKey.none"] = jwt.encode(base, ec_key, "ES256")
r["unknownKey.other"] = es(kid="nobody")
r["unknownKey.encryptionKey"] = es(kid="encryption", key=ec_other)
r["wrongSignature.otherKey"] = es(key=ec_other)
h,p,g = t["clinician"].split(".")
r["wrongSignature.otherPayload"] = h+"."+b64(json.dumps({**base,"custom:user_type":"service"}).encode())+"."+g
r["wrongSignature.empty"] = h+"."+p+"."
r["wrongSignature.cut"] = h+"."+p+"."+b64(base64.urlsafe_b64decode(g+"==")[:-1])
r["malformed.twoParts"] = h+"."+p
r["malformed.fourParts"] = t["clinician"]+".x"
r["malformed.notBase64"] = h+"."+p+"!."+g
r["malformed.padded"] = h+"."+p+"."+g+"=="
r["malformed.type"] = es(headers={"typ":"JWE"})
r["malformed.notJSON"] = b64(b"hello")+"."+p+"."+g
r["criticalExtension"] = es(headers={"crit":["exp"]})
r["wrongIssuer.other"] = es(iss="https://issuer.example/pool/")
r["wrongIssuer.none"] = es(iss=None)
r["wrongUse.none"] = es(token_use=None)
r["wrongUse.refresh"] = es(token_use="refresh")
r["wrongAudience.other"] = es(client_id="other")
r["wrongAudience.idTokenNeedsAud"] = es(token_use="id")
r["wrongAudience.clientIdDecides"] = es(client_id="other", aud="portal")
r["expired"] = es(exp=946684800)
r["notYetValid"] = es(nbf=FAR-1)
r["claimsMalformed.noExpiry"] = es(exp=None)
def sign_raw(header, body):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives import hashes
    s = b64(json.dumps(header).encode())+"."+b64(body)
    a,b = decode_dss_signature(ec_key.sign(s.encode(), ec.ECDSA(hashes.SHA256())))
    return s+"."+b64(a.to_bytes(32,"big")+b.to_bytes(32,"big"))
hd={"alg":"ES256","kid":"ec-1"}
r["claimsMalformed.hugeExpiry"] = sign_raw(hd, json.dumps(base).replace(str(FAR),"1e300").encode())
r["claimsMalformed.notJSON"] = sign_raw(hd, b"\xff\xfe{")
r["claimsMalformed.array"] = sign_raw(hd, b"[]")
r["claimsMalformed.subjectNumber"] = sign_raw(hd, json.dumps({**base,"sub":7}).encode())
r["claimsMalformed.tooManyClinicians"] = es({"custom:user_type":"delegate","custom:acts_for":["c%d"%i for i in range(101)]})
r["subjectMissing.none"] = es(sub=None)
r["subjectMissing.empty"] = es(sub="")
r["subjectMissing.control"] = es(sub="a\nb")
r["subjectMissing.long"] = es(sub="x"*129)
r["roleUnknown.none"] = es({"custom:user_type":None})
r["roleUnknown.other"] = es({"custom:user_type":"admin"})
r["roleUnknown.case"] = es({"custom:user_type":"Clinician"})
r["serviceTokenRefused"] = t["service"]
out = {"jwks": {"keys": skipped+[ecj, rsaj]}, "rotatedJWKS": {"keys":[ecj2]}, "accepted": t, "refused": r}
json.dump(out, open(sys.argv[1],"w"), indent=1, sort_keys=True); open(sys.argv[1],"a").write("\n")

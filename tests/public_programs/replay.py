#!/usr/bin/env python3
"""Calls the standalone emulator over TLS as public programs call the service.

Nothing of this project is on the calling side: what is signed and sent is written down here from
the service's documentation and from what those programs send. Each way encrypts and decrypts, and
is refused when its signature is wrong.

usage: replay.py PROGRAM, the path of ncp-envelope built with all features
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

ACCESS_KEY = "replay-access-key"
SECRET_KEY = "replay/secret+key"
API_KEY = "replay-gateway-key"
KEY_TAG = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6"

# Hosts that programs name; the emulator stands behind all of them.
GLOBAL_1 = "kms.apigw.ntruss.com"
GLOBAL_2 = "ocapi.ncloud.com"
FINANCIAL = "kms.apigw.fin-ntruss.com"

# As long as the values of two published ciphertexts: nonce, value and tag are 68 bytes.
VALUE = b"0123456789abcdefghijABCDEFGHIJ+/0123456="
SECONDS = 30


class Account:
    """The credentials of a program."""

    def __init__(self, access_key=ACCESS_KEY, secret_key=SECRET_KEY, api_key=API_KEY):
        self.access_key, self.secret_key, self.api_key = access_key, secret_key, api_key

    def wrong(self):
        """The same, with a secret that differs in its last character."""
        return Account(self.access_key, self.secret_key[:-1] + "_", self.api_key)


class Service:
    """The emulator, under any of the service's names."""

    def __init__(self, url, authority):
        self.address = urllib.parse.urlsplit(url)
        self.context = ssl.create_default_context(cafile=authority)
        self.context.verify_flags |= ssl.VERIFY_X509_STRICT

    def send(self, host, method, path, headers, body):
        connection = http.client.HTTPSConnection(
            self.address.hostname, self.address.port, context=self.context, timeout=SECONDS
        )
        try:
            connection.request(method, path, body, {"Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def signature(account, lines):
    mac = hmac.new(account.secret_key.encode(), "\n".join(lines).encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def signed(account, method, path, version, with_api_key=False):
    """The headers of a signed call, version 1 or 2, with or without the gateway's key."""
    now = str(int(time.time() * 1000))
    lines = [f"{method} {path}", now]
    headers = {"x-ncp-apigw-timestamp": now, "x-ncp-iam-access-key": account.access_key}
    if with_api_key:
        lines.append(account.api_key)
        headers["x-ncp-apigw-api-key"] = account.api_key
    lines.append(account.access_key)
    headers[f"x-ncp-apigw-signature-v{version}"] = signature(account, lines)
    return headers


class Way:
    """One way of calling: a host, a path, a kind of signature, a type of the body."""

    def __init__(self, host, prefix, version, with_api_key=False, content="application/json"):
        self.host, self.prefix, self.version = host, prefix, version
        self.with_api_key, self.content = with_api_key, content

    def call(self, service, account, action, body):
        path = f"{self.prefix}/{KEY_TAG}/{action}"
        headers = signed(account, "POST", path, self.version, self.with_api_key)
        headers["Content-Type"] = self.content
        headers["Accept"] = "application/json"
        return service.send(self.host, "POST", path, headers, json.dumps(body))


# Observed ways of calling. Each is tested for itself: two that send the same bytes differ in the
# host, and that is a way too.
OPENBAO = Way(GLOBAL_2, "/kms/v1/keys", 2, content="application/json;charset=UTF-8")
WAYS = {
    "openbao since July 2026: API 2.0, signature v2, typed with a character set": OPENBAO,
    "openbao before, and hashicorp: API 1.0, signature v2": Way(GLOBAL_1, "/keys/v2", 2),
    "two programs: API 1.0, signature v1 with the gateway's key": Way(
        GLOBAL_1, "/keys/v1", 1, with_api_key=True
    ),
    "the vendor's SDKs and its database tool: header v1, three lines, no gateway key": Way(
        GLOBAL_1, "/keys/v2", 1
    ),
    "a Go program: the host of API 1.0 with the path of API 2.0": Way(GLOBAL_1, "/kms/v1/keys", 2),
    "programs of the financial zone: API 1.0 on its own host": Way(FINANCIAL, "/keys/v2", 2),
}


def expect(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"replay: {what}: got {got!r}, wanted {wanted!r}")


def good(what, answer):
    """The data of an answer that is a success, judged as openbao judges it."""
    status, body = answer
    expect(f"{what}: status", status, 200)
    expect(f"{what}: code", body.get("code"), "SUCCESS")
    expect(f"{what}: message", body.get("msg") or "", "")
    expect(f"{what}: error", body.get("error"), None)
    return body["data"]


def refused(what, answer):
    """The gateway's refusal: the code is text."""
    status, body = answer
    expect(f"{what}: status", status, 401)
    error = body["error"]
    expect(f"{what}: code", error["errorCode"], "200")
    expect(f"{what}: texts", [type(error[name]) for name in ("message", "details")], [str, str])


def there_and_back(what, call):
    """Encrypts and decrypts with `call(action, body)`."""
    plaintext = base64.b64encode(VALUE).decode()
    ciphertext = good(what, call("encrypt", {"plaintext": plaintext}))["ciphertext"]
    prefix, payload = ciphertext.rsplit(":", 1)
    expect(f"{what}: prefix", prefix, "ncpkms:v1")
    expect(f"{what}: bytes", len(base64.b64decode(payload, validate=True)), 12 + len(VALUE) + 16)
    opened = good(what, call("decrypt", {"ciphertext": ciphertext}))["plaintext"]
    expect(f"{what}: decrypted", base64.b64decode(opened, validate=True), VALUE)


def account_ways(service):
    account = Account()
    for what, way in WAYS.items():
        there_and_back(what, lambda action, body: way.call(service, account, action, body))
        body = {"plaintext": base64.b64encode(VALUE).decode()}
        refused(f"{what}, wrong", way.call(service, account.wrong(), "encrypt", body))
        # Valid for another call than the one with which it is sent.
        path = f"{way.prefix}/{KEY_TAG}"
        headers = signed(account, "POST", f"{path}/decrypt", way.version, way.with_api_key)
        answer = service.send(way.host, "POST", f"{path}/encrypt", headers, json.dumps(body))
        refused(f"{what}, of another call", answer)
        print(f"{what}: ok")


def spring_way(service):
    """Tries one spelling of the call and then the other, and reads either spelling of a field."""
    account = Account()
    for host, prefix, found in [
        (GLOBAL_2, "/kms/v1/keys", "create-custom-key"),
        (GLOBAL_1, "/keys/v2", "createCustomKey"),
    ]:
        what, way = f"a Spring program: {found}", Way(host, prefix, 2)
        body = {"requestPlainKey": True, "bits": 256}
        for action in ["create-custom-key", "createCustomKey"]:
            answer = way.call(service, account, action, body)
            if answer[0] != 404:
                break
        expect(f"{what}: spelling", action, found)
        data = good(what, answer)
        ciphertext = data.get("ciphertext") or data.get("cipherText")
        plaintext = data.get("plaintext") or data.get("plainText")
        expect(f"{what}: length", len(base64.b64decode(plaintext, validate=True)), 32)
        opened = way.call(service, account, "decrypt", {"ciphertext": ciphertext})
        expect(f"{what}: decrypted", good(what, opened)["plaintext"], plaintext)
        refused(f"{what}, wrong", way.call(service, account.wrong(), found, body))
        print(f"{what}: ok")


def metadata(url, method, path, headers):
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=SECONDS)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def role_way(service, url):
    """The keys of a server's role, by the metadata service's version 2 and by version 1."""
    status, token = metadata(
        url, "PUT", "/latest/api/token", {"X-NCP-METADATA-TOKEN-TTL-SECONDS": "300"}
    )
    expect("metadata token", status, 200)
    seen = set()
    for version, headers in [(2, {"X-NCP-METADATA-TOKEN": token}), (1, {})]:
        what = f"a server's role, metadata version {version}"
        base = "/latest/meta-data/iam/security-credentials/"
        status, roles = metadata(url, "GET", base, headers)
        expect(f"{what}: roles", status, 200)
        status, text = metadata(url, "GET", base + roles.splitlines()[0], headers)
        expect(f"{what}: keys", status, 200)
        keys = json.loads(text)
        expect(f"{what}: code", (keys["Code"], keys["Type"]), ("Success", "NCP-HMAC"))
        account = Account(keys["AccessKeyId"], keys["SecretAccessKey"])
        seen.add(account.access_key)
        # No session header: they sign as any keys do.
        there_and_back(what, lambda action, body: OPENBAO.call(service, account, action, body))
        refused(f"{what}, wrong", OPENBAO.call(service, account.wrong(), "encrypt", {}))
        print(f"{what}: ok")
    expect("keys of a role", ACCESS_KEY in seen, False)


def token_way(service, token):
    """A key's access token instead of a signature."""
    what = "a key's token: API 2.0, no signature"

    def call(action, body, token=token):
        path = f"/kms/v1/keys/{KEY_TAG}/{action}"
        headers = {"x-ncp-ocapi-token": token, "Content-Type": "application/json"}
        return service.send(GLOBAL_2, "POST", path, headers, json.dumps(body))

    there_and_back(what, call)
    header, claims, proof = token.split(".")
    forged = ".".join([header, claims, ("B" if proof[0] == "A" else "A") + proof[1:]])
    status, body = call("encrypt", {}, forged)
    expect(f"{what}, wrong", (status, body["code"]), (401, "UNAUTHORIZED"))
    print(f"{what}: ok")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        authority = f"{scratch}/authority.pem"
        emulator = subprocess.Popen(
            [os.path.abspath(sys.argv[1]), "emulator", "--listen", "localhost:0"]
            + ["--tls", "--ca-out", authority, "--key-tag", KEY_TAG, "--accept-sdk-signatures"]
            + ["--metadata", "localhost:0", "--exit-with-parent"],
            # None of the caller's settings, and no secret in the arguments.
            env={
                "NCP_EMULATOR_ACCESS_KEY": ACCESS_KEY,
                "NCP_EMULATOR_SECRET_KEY": SECRET_KEY,
                "NCP_EMULATOR_APIGW_API_KEY": API_KEY,
            },
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            started = json.loads(emulator.stdout.readline())
            expect("address", started["url"].split(":")[0], "https")
            service = Service(started["url"], authority)
            account_ways(service)
            spring_way(service)
            role_way(service, started["metadata_url"])
            token_way(service, started["access_token"])
            emulator.stdin.close()
            expect("exit code", emulator.wait(SECONDS), 0)
        finally:
            emulator.kill()
            emulator.wait()
    print("replay: all ways work, and none with a wrong signature")


main()

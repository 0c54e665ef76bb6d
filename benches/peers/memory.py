"""Libraries for Python, in memory. `memory.py NAME` answers requests on standard input, one line each:

check LEN      encrypts LEN bytes, decrypts them, compares, and answers with the bytes the message is longer
encrypt CALLS  answers with the seconds that one call took
decrypt CALLS  the same for the message of the check
"""

import io
import os
import sys
import time

import esdk_keys
import stream


def tink():
    from tink import aead, new_keyset_handle

    aead.register()
    template = aead.aead_key_templates.AES256_GCM
    remote = new_keyset_handle(template).primitive(aead.Aead)
    envelope = aead.KmsEnvelopeAead(template, remote)
    return lambda plaintext: envelope.encrypt(plaintext, b""), lambda message: envelope.decrypt(message, b"")


ROW = (4_711).to_bytes(8, "big")


def tink_gcm():
    from tink import aead, new_keyset_handle

    aead.register()
    primitive = new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    return lambda value: primitive.encrypt(value, ROW), lambda message: primitive.decrypt(message, ROW)


def tink_siv():
    from tink import daead, new_keyset_handle

    daead.register()
    primitive = new_keyset_handle(daead.deterministic_aead_key_templates.AES256_SIV).primitive(daead.DeterministicAead)
    return lambda value: primitive.encrypt_deterministically(value, ROW), lambda message: primitive.decrypt_deterministically(message, ROW)


def esdk(**keys):
    import aws_encryption_sdk
    from aws_encryption_sdk.identifiers import Algorithm

    client = aws_encryption_sdk.EncryptionSDKClient()
    suite = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    keys = keys or {"key_provider": esdk_keys.provider()}
    return lambda plaintext: client.encrypt(source=plaintext, algorithm=suite, **keys)[0], lambda message: client.decrypt(source=message, **keys)[0]


def esdk_large():
    """Its call for a message in memory reads 8 KiB at a time, whatever the frame; its stream is faster for large frames."""
    encrypt, decrypt = stream.esdk()

    def through(call, source):
        target = io.BytesIO()
        call(io.BytesIO(source), target)
        return target.getvalue()

    return lambda plaintext: through(encrypt, plaintext), lambda message: through(decrypt, message)


CONTESTANTS = {
    "tink": tink,
    "tink-gcm": tink_gcm,
    "tink-siv": tink_siv,
    "esdk": esdk,
    "esdk-cached": lambda: esdk(materials_manager=esdk_keys.cache()),
    "esdk-keyring": lambda: esdk(keyring=esdk_keys.keyring()),
    "esdk-large": esdk_large,
}


def main():
    try:
        encrypt, decrypt = CONTESTANTS[sys.argv[1]]()
    except ImportError as error:
        print(f"not installed: {error}", flush=True)
        return
    print("ready", flush=True)
    plaintext = message = b""
    for line in sys.stdin:
        request, number = line.split()
        number = int(number)
        if request == "check":
            plaintext = os.urandom(number)
            message = encrypt(plaintext)
            assert decrypt(message) == plaintext
            answer = len(message) - number
        else:
            call, argument = (encrypt, plaintext) if request == "encrypt" else (decrypt, message)
            start = time.perf_counter()
            for _ in range(number):
                call(argument)
            answer = (time.perf_counter() - start) / number
        print(answer, flush=True)


main()

"""Libraries for Python, file to file. `stream.py NAME PLAIN MESSAGE OPENED` encrypts PLAIN to MESSAGE, decrypts that to OPENED, and prints the
seconds that each took. The interpreter's start and its imports are not counted.
"""

import shutil
import sys
import time

import esdk_keys

SEGMENT = 1 << 20
# How much is read at a time, for each what was fastest of 256 KiB, 1 MiB and 4 MiB.
TINK_READ = 1 << 18
ESDK_ENCRYPT_READ = 1 << 20
ESDK_DECRYPT_READ = 1 << 18


def tink():
    from tink import new_keyset_handle, streaming_aead

    streaming_aead.register()
    template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    primitive = new_keyset_handle(template).primitive(streaming_aead.StreamingAead)

    def encrypt(source, target):
        with primitive.new_encrypting_stream(target, b"") as stream:
            shutil.copyfileobj(source, stream, TINK_READ)

    def decrypt(source, target):
        with primitive.new_decrypting_stream(source, b"") as stream:
            shutil.copyfileobj(stream, target, TINK_READ)

    return encrypt, decrypt


def esdk():
    import aws_encryption_sdk
    from aws_encryption_sdk.identifiers import Algorithm

    client = aws_encryption_sdk.EncryptionSDKClient()
    keys = {"key_provider": esdk_keys.provider()}
    suite = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY

    # Iterating over a stream, as in its documentation, gives 8 KiB at a time.
    def encrypt(source, target):
        with client.stream(mode="e", source=source, algorithm=suite, frame_length=SEGMENT, **keys) as stream:
            shutil.copyfileobj(stream, target, ESDK_ENCRYPT_READ)

    def decrypt(source, target):
        with client.stream(mode="d", source=source, **keys) as stream:
            shutil.copyfileobj(stream, target, ESDK_DECRYPT_READ)

    return encrypt, decrypt


def timed(call, source, target):
    start = time.perf_counter()
    with open(source, "rb", buffering=0) as opened, open(target, "wb", buffering=0) as made:
        call(opened, made)
    print(time.perf_counter() - start, flush=True)


def main():
    name, plain, message, opened = sys.argv[1:]
    encrypt, decrypt = {"tink": tink, "esdk": esdk}[name]()
    timed(encrypt, plain, message)
    timed(decrypt, message, opened)


if __name__ == "__main__":
    main()

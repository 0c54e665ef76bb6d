"""Keys for the AWS Encryption SDK that are held in the process: no call to a key service."""


def provider():
    """A master key, the older of its two interfaces and by far the faster one."""
    from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
    from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
    from aws_encryption_sdk.key_providers.raw import RawMasterKey

    key = WrappingKey(
        wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
        wrapping_key=bytes([7]) * 32,
        wrapping_key_type=EncryptionKeyType.SYMMETRIC,
    )
    return RawMasterKey(provider_id="bench", key_id=b"bench", wrapping_key=key)


def cache():
    """The same behind its cache of data keys."""
    import aws_encryption_sdk

    materials = aws_encryption_sdk.LocalCryptoMaterialsCache(100)
    return aws_encryption_sdk.CachingCryptoMaterialsManager(master_key_provider=provider(), cache=materials, max_age=3600.0)


def keyring():
    """A raw AES keyring, which its documentation recommends."""
    from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
    from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
    from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput

    providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    return providers.create_raw_aes_keyring(
        input=CreateRawAesKeyringInput(
            key_namespace="bench",
            key_name="bench",
            wrapping_key=bytes([7]) * 32,
            wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
        )
    )

//! The AWS Encryption SDK for Rust, with a raw AES keyring: no call to a key service.

use crate::contestant::{Contestant, Entry};
use aws_esdk::client::Client;
use aws_esdk::material_providers::client::Client as Materials;
use aws_esdk::material_providers::types::keyring::KeyringRef;
use aws_esdk::material_providers::types::material_providers_config::MaterialProvidersConfig;
use aws_esdk::material_providers::types::{AesWrappingAlg, EsdkAlgorithmSuiteId};
use aws_esdk::types::aws_encryption_sdk_config::AwsEncryptionSdkConfig;
use tokio::runtime::Runtime;

const LARGE: usize = 1 << 20;
const LARGE_FRAME: i64 = 1 << 20;

pub fn entries(len: usize) -> Vec<Entry> {
    let unsigned = EsdkAlgorithmSuiteId::AlgAes256GcmHkdfSha512CommitKey;
    let mut entries = vec![
        Entry::new("AWS Encryption SDK for Rust, default suite (signed)", Esdk::new(None, None)),
        Entry::new("AWS Encryption SDK for Rust, unsigned suite", Esdk::new(Some(unsigned), None)),
    ];
    if len >= LARGE {
        let name = "AWS Encryption SDK for Rust, unsigned suite, 1 MiB frames";
        entries.push(Entry::new(name, Esdk::new(Some(unsigned), Some(LARGE_FRAME))));
    }
    entries
}

struct Esdk {
    runtime: Runtime,
    client: Client,
    keyring: KeyringRef,
    suite: Option<EsdkAlgorithmSuiteId>,
    frame: Option<i64>,
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Esdk {
    fn new(suite: Option<EsdkAlgorithmSuiteId>, frame: Option<i64>) -> Self {
        // It calls block_in_place, which a runtime of one thread refuses.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = Client::from_conf(AwsEncryptionSdkConfig::builder().build().unwrap()).unwrap();
        let materials =
            Materials::from_conf(MaterialProvidersConfig::builder().build().unwrap()).unwrap();
        let keyring = materials
            .create_raw_aes_keyring()
            .key_namespace("bench")
            .key_name("bench")
            .wrapping_key(vec![7; 32])
            .wrapping_alg(AesWrappingAlg::AlgAes256GcmIv12Tag16);
        let keyring = runtime.block_on(keyring.send()).unwrap();
        Self { runtime, client, keyring, suite, frame, message: Vec::new(), opened: Vec::new() }
    }
}

impl Contestant for Esdk {
    fn encrypt(&mut self, plaintext: &[u8]) {
        let mut call = self.client.encrypt().plaintext(plaintext).keyring(self.keyring.clone());
        if let Some(suite) = self.suite {
            call = call.algorithm_suite_id(suite);
        }
        if let Some(frame) = self.frame {
            call = call.frame_length(frame);
        }
        self.message = self.runtime.block_on(call.send()).unwrap().ciphertext.unwrap().into_inner();
    }

    fn decrypt(&mut self) {
        let call =
            self.client.decrypt().ciphertext(&self.message[..]).keyring(self.keyring.clone());
        self.opened = self.runtime.block_on(call.send()).unwrap().plaintext.unwrap().into_inner();
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}

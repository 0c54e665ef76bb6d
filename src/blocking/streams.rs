//! Readers, writers and whole streams.

use crate::blocking::{BlockingEnvelope, wait};
use crate::error::Result;
use crate::io::{DecryptReader, EncryptReader, EncryptWriter, RangeReader, ReadAt, StreamReport};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use std::io::{BufRead, BufReader, Read, Write};

impl BlockingEnvelope {
    /// As [`Envelope::writer`](crate::Envelope::writer).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Write;
    /// let mut writer = envelope.writer(Vec::new(), EncryptionContext::new())?;
    /// writeln!(writer, "hello")?;
    /// let message = writer.finish()?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn writer<W: Write>(
        &self,
        inner: W,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptWriter<W>> {
        wait(self.0.writer(inner, options))?
    }

    /// As [`Envelope::reader`](crate::Envelope::reader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let mut text = String::new();
    /// envelope.reader(&message[..], DecryptPolicy::new())?.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn reader<R: Read>(
        &self,
        inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<BufReader<R>>> {
        wait(self.0.reader(inner, policy))?
    }

    /// As [`Envelope::buf_reader`](crate::Envelope::buf_reader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let mut reader = envelope.buf_reader(&message[..], DecryptPolicy::new())?;
    /// reader.read_to_end(&mut Vec::new())?;
    /// assert!(reader.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn buf_reader<R: BufRead>(
        &self,
        inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<R>> {
        wait(self.0.buf_reader(inner, policy))?
    }

    /// As [`Envelope::encrypt_reader`](crate::Envelope::encrypt_reader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let mut message = Vec::new();
    /// let mut upload = envelope.encrypt_reader(&b"hello"[..], EncryptionContext::new())?;
    /// upload.read_to_end(&mut message)?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_reader<R: Read>(
        &self,
        inner: R,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptReader<R>> {
        wait(self.0.encrypt_reader(inner, options))?
    }

    /// As [`Envelope::range_reader`](crate::Envelope::range_reader).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello, world", EncryptionContext::new())?;
    /// let reader = envelope.range_reader(&message[..], DecryptPolicy::new())?;
    /// assert_eq!(*reader.read_last(5)?, b"world");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn range_reader<S: ReadAt>(
        &self,
        source: S,
        policy: impl ToDecryptPolicy,
    ) -> Result<RangeReader<S>> {
        wait(self.0.range_reader(source, policy))?
    }

    /// As [`Envelope::encrypt_stream`](crate::Envelope::encrypt_stream).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let source = std::io::Cursor::new("hello");
    /// let report = envelope.encrypt_stream(source, Vec::new(), EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&report.sink, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        options: impl ToEncryptOptions,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        wait(self.0.encrypt_stream(source, sink, options))?
    }

    /// As [`Envelope::decrypt_stream`](crate::Envelope::decrypt_stream).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let source = std::io::Cursor::new(message);
    /// let report = envelope.decrypt_stream(source, Vec::new(), DecryptPolicy::new())?;
    /// assert_eq!(report.sink, b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        policy: impl ToDecryptPolicy,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        wait(self.0.decrypt_stream(source, sink, policy))?
    }
}

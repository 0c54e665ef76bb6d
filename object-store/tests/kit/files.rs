//! What s3s-fs leaves out and clients rely on: conditions of requests, that a directory is no
//! object, and which error a copy of nothing gives.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Files {
    inner: FileSystem,
    root: PathBuf,
    /// Held from looking at an object to replacing it.
    writing: Mutex<()>,
}

/// What a request says of the object that it wants.
struct Conditions {
    matches: Option<IfMatch>,
    none_match: Option<IfNoneMatch>,
    modified_since: Option<IfModifiedSince>,
    unmodified_since: Option<IfUnmodifiedSince>,
}

impl Conditions {
    /// In the order of RFC 9110, section 13.2.2.
    fn check(&self, e_tag: Option<&ETag>, modified: Option<&Timestamp>) -> S3Result<()> {
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => {
                e_tag.is_some_and(|e_tag| e_tag.value() == wanted.value())
            }
        };
        let seconds = |time: &Timestamp| time::OffsetDateTime::from(time.clone()).unix_timestamp();
        let after = |time: &Timestamp| modified.is_some_and(|at| seconds(at) > seconds(time));
        let failed = match (&self.matches, &self.unmodified_since) {
            (Some(wanted), _) => !same(wanted),
            (None, Some(time)) => after(time),
            (None, None) => false,
        };
        if failed {
            return Err(s3_error!(PreconditionFailed));
        }
        let unchanged = match (&self.none_match, &self.modified_since) {
            (Some(wanted), _) => same(wanted),
            (None, Some(time)) => !after(time),
            (None, None) => false,
        };
        if unchanged { Err(s3_error!(NotModified)) } else { Ok(()) }
    }
}

impl Files {
    pub(crate) fn new(root: &Path) -> Self {
        let inner = FileSystem::new(root).unwrap();
        Self { inner, root: root.to_owned(), writing: Mutex::default() }
    }

    fn is_file(&self, bucket: &str, key: &str) -> bool {
        self.root.join(bucket).join(key).is_file()
    }

    /// Of what is copied.
    fn check_source(&self, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } if !self.is_file(bucket, key) => {
                Err(s3_error!(NoSuchKey))
            }
            _ => Ok(()),
        }
    }

    /// Of a write to this name.
    async fn check_target<T>(
        &self,
        req: &S3Request<T>,
        (bucket, key): (&str, &str),
        matches: Option<&IfMatch>,
        none_match: Option<&IfNoneMatch>,
    ) -> S3Result<()> {
        let there = self.is_file(bucket, key);
        if none_match.is_some() && there {
            return Err(s3_error!(PreconditionFailed));
        }
        let Some(matches) = matches else { return Ok(()) };
        if !there {
            return Err(s3_error!(PreconditionFailed));
        }
        let input = HeadObjectInput::builder().bucket(bucket.to_owned()).key(key.to_owned());
        let head = S3Request {
            input: input.build().unwrap(),
            method: req.method.clone(),
            uri: req.uri.clone(),
            headers: req.headers.clone(),
            extensions: Default::default(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let head = self.inner.head_object(head).await?.output;
        let conditions = Conditions {
            matches: Some(matches.clone()),
            none_match: None,
            modified_since: None,
            unmodified_since: None,
        };
        conditions.check(head.e_tag.as_ref(), None)
    }

    fn is_directory(&self, bucket: &str, key: &str) -> bool {
        self.root.join(bucket).join(key).is_dir()
    }
}

macro_rules! as_it_is {
    ($($name:ident: $input:ident -> $output:ident),* $(,)?) => {
        #[async_trait::async_trait]
        impl S3 for Files {
            async fn get_object(
                &self,
                req: S3Request<GetObjectInput>,
            ) -> S3Result<S3Response<GetObjectOutput>> {
                let input = &req.input;
                if self.is_directory(&input.bucket, &input.key) {
                    return Err(s3_error!(NoSuchKey));
                }
                let conditions = Conditions {
                    matches: input.if_match.clone(),
                    none_match: input.if_none_match.clone(),
                    modified_since: input.if_modified_since.clone(),
                    unmodified_since: input.if_unmodified_since.clone(),
                };
                let answer = self.inner.get_object(req).await?;
                let output = &answer.output;
                conditions.check(output.e_tag.as_ref(), output.last_modified.as_ref())?;
                Ok(answer)
            }

            async fn head_object(
                &self,
                req: S3Request<HeadObjectInput>,
            ) -> S3Result<S3Response<HeadObjectOutput>> {
                let input = &req.input;
                if self.is_directory(&input.bucket, &input.key) {
                    return Err(s3_error!(NoSuchKey));
                }
                let conditions = Conditions {
                    matches: input.if_match.clone(),
                    none_match: input.if_none_match.clone(),
                    modified_since: input.if_modified_since.clone(),
                    unmodified_since: input.if_unmodified_since.clone(),
                };
                let answer = self.inner.head_object(req).await?;
                let output = &answer.output;
                conditions.check(output.e_tag.as_ref(), output.last_modified.as_ref())?;
                Ok(answer)
            }

            async fn copy_object(
                &self,
                req: S3Request<CopyObjectInput>,
            ) -> S3Result<S3Response<CopyObjectOutput>> {
                self.check_source(&req.input.copy_source)?;
                self.inner.copy_object(req).await
            }

            async fn upload_part_copy(
                &self,
                req: S3Request<UploadPartCopyInput>,
            ) -> S3Result<S3Response<UploadPartCopyOutput>> {
                self.check_source(&req.input.copy_source)?;
                self.inner.upload_part_copy(req).await
            }

            async fn put_object(
                &self,
                req: S3Request<PutObjectInput>,
            ) -> S3Result<S3Response<PutObjectOutput>> {
                let _writing = self.writing.lock().await;
                let input = &req.input;
                let (matches, none_match) = (input.if_match.clone(), input.if_none_match.clone());
                let name = (input.bucket.clone(), input.key.clone());
                let name = (&name.0[..], &name.1[..]);
                self.check_target(&req, name, matches.as_ref(), none_match.as_ref()).await?;
                self.inner.put_object(req).await
            }

            async fn complete_multipart_upload(
                &self,
                req: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let _writing = self.writing.lock().await;
                let input = &req.input;
                let (matches, none_match) = (input.if_match.clone(), input.if_none_match.clone());
                let name = (input.bucket.clone(), input.key.clone());
                let name = (&name.0[..], &name.1[..]);
                self.check_target(&req, name, matches.as_ref(), none_match.as_ref()).await?;
                self.inner.complete_multipart_upload(req).await
            }

            $(
                async fn $name(&self, req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.inner.$name(req).await
                }
            )*
        }
    };
}

as_it_is! {
    delete_object: DeleteObjectInput -> DeleteObjectOutput,
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput,
    list_objects: ListObjectsInput -> ListObjectsOutput,
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output,
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput,
    upload_part: UploadPartInput -> UploadPartOutput,
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput,
}

//! Key management: creating, listing and changing keys, their versions, IP ACL and activity log.

pub(crate) mod acl;
pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod describe;
pub(crate) mod keys;
pub(crate) mod pages;

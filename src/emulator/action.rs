//! The calls of the service and their names.

/// A call of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Encrypt,
    Decrypt,
    CreateCustomKey,
    Reencrypt,
    Sign,
    Verify,
    PublicKey,
    IssueTokenSet,
    RenewTokenSet,
    IssueAccessToken,
    ValidateToken,
    ShowGenerator,
    CreateGenerator,
    ReplaceGenerator,
    DeleteGenerator,
    ListKeys,
    CreateKey,
    ShowKey,
    DeleteKey,
    EnableKey,
    DisableKey,
    RenameKey,
    SetMemo,
    RotateKey,
    EnableAutoRotation,
    DisableAutoRotation,
    SetRotationPeriod,
    ListVersions,
    EnableVersion,
    DisableVersion,
    RequestDeletion,
    CancelDeletion,
    ShowAcl,
    EnableAcl,
    DisableAcl,
    AddToAcl,
    RemoveFromAcl,
    ShowActivities,
    ShowLastUse,
}

/// Every call, its name here, and the permission a sub account needs for it. `Change/encrypt`,
/// `Change/decrypt`, `View/getKeyInfo` and `View/getKeyList` are the service's own; the other
/// permissions are invented in their style. Calls with a refresh token need none.
const TERMS: [(Action, &str, &str); 39] = [
    (Action::Encrypt, "encrypt", "Change/encrypt"),
    (Action::Decrypt, "decrypt", "Change/decrypt"),
    (Action::CreateCustomKey, "create-custom-key", "Change/createCustomKey"),
    (Action::Reencrypt, "re-encrypt", "Change/reEncrypt"),
    (Action::Sign, "sign", "Change/sign"),
    (Action::Verify, "verify", "Change/verify"),
    (Action::PublicKey, "get-pub-key", "View/getPublicKey"),
    (Action::IssueTokenSet, "create-token-set", "Change/createTokenSet"),
    (Action::RenewTokenSet, "renew-token-set", ""),
    (Action::IssueAccessToken, "access-token", ""),
    (Action::ValidateToken, "validate-token", ""),
    (Action::ShowGenerator, "get-token-generator", "View/getTokenGenerator"),
    (Action::CreateGenerator, "create-token-generator", "Change/createTokenGenerator"),
    (Action::ReplaceGenerator, "replace-token-generator", "Change/replaceTokenGenerator"),
    (Action::DeleteGenerator, "delete-token-generator", "Change/deleteTokenGenerator"),
    (Action::ListKeys, "list-keys", "View/getKeyList"),
    (Action::CreateKey, "create-key", "Change/createKey"),
    (Action::ShowKey, "get-key", "View/getKeyInfo"),
    (Action::DeleteKey, "delete-key", "Change/deleteKey"),
    (Action::EnableKey, "enable-key", "Change/enableKey"),
    (Action::DisableKey, "disable-key", "Change/disableKey"),
    (Action::RenameKey, "rename-key", "Change/updateKeyName"),
    (Action::SetMemo, "set-memo", "Change/updateMemo"),
    (Action::RotateKey, "rotate-key", "Change/rotateKey"),
    (Action::EnableAutoRotation, "enable-auto-rotation", "Change/enableAutoRotation"),
    (Action::DisableAutoRotation, "disable-auto-rotation", "Change/disableAutoRotation"),
    (Action::SetRotationPeriod, "set-rotation-period", "Change/updateRotationPeriod"),
    (Action::ListVersions, "list-versions", "View/getKeyVersionList"),
    (Action::EnableVersion, "enable-version", "Change/enableKeyVersion"),
    (Action::DisableVersion, "disable-version", "Change/disableKeyVersion"),
    (Action::RequestDeletion, "request-deletion", "Change/requestKeyDeletion"),
    (Action::CancelDeletion, "cancel-deletion", "Change/cancelKeyDeletion"),
    (Action::ShowAcl, "get-acl", "View/getIpAcl"),
    (Action::EnableAcl, "enable-acl", "Change/enableIpAcl"),
    (Action::DisableAcl, "disable-acl", "Change/disableIpAcl"),
    (Action::AddToAcl, "add-to-acl", "Change/addIpAcl"),
    (Action::RemoveFromAcl, "remove-from-acl", "Change/deleteIpAcl"),
    (Action::ShowActivities, "list-activities", "View/getActivityLogList"),
    (Action::ShowLastUse, "get-last-use", "View/getLastUseInfo"),
];

/// The calls of the cloud's metadata service, which takes the same faults.
const METADATA: [&str; 3] = [METADATA_TOKEN, METADATA_ROLES, METADATA_KEYS];
pub(crate) const METADATA_TOKEN: &str = "metadata-token";
pub(crate) const METADATA_ROLES: &str = "metadata-roles";
pub(crate) const METADATA_KEYS: &str = "metadata-keys";

impl Action {
    /// The name of this call in the record, in faults and in the guide.
    pub(crate) fn name(self) -> &'static str {
        self.terms().1
    }

    /// The permission that a sub account needs for this call.
    pub(crate) fn permission(self) -> &'static str {
        self.terms().2
    }

    /// Whether this uses the key itself rather than its metadata.
    pub(crate) fn is_cipher(self) -> bool {
        use Action::{CreateCustomKey, Decrypt, Encrypt, PublicKey, Reencrypt, Sign, Verify};
        matches!(self, Encrypt | Decrypt | CreateCustomKey | Reencrypt | Sign | Verify | PublicKey)
    }

    fn terms(self) -> &'static (Self, &'static str, &'static str) {
        // A test checks that the table is in the order of the variants.
        &TERMS[self as usize]
    }
}

/// Whether there is a call of this name.
pub(crate) fn is_name(name: &str) -> bool {
    TERMS.iter().any(|(_, known, _)| *known == name) || is_metadata(name)
}

/// Whether the call of this name is one of the metadata service.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// Whether there is a permission of this name.
pub(crate) fn is_permission(permission: &str) -> bool {
    !permission.is_empty() && TERMS.iter().any(|(_, _, known)| *known == permission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_call_has_names_of_its_own() {
        for (place, (action, _, _)) in TERMS.iter().enumerate() {
            assert_eq!(*action as usize, place);
        }
        assert_eq!(TERMS.len(), Action::ShowLastUse as usize + 1);
        assert_eq!(
            TERMS.iter().map(|(_, name, _)| name).collect::<HashSet<_>>().len(),
            TERMS.len()
        );
        assert_eq!(
            TERMS.iter().map(|(_, _, permission)| permission).collect::<HashSet<_>>().len(),
            TERMS.len() - 2
        );
        let guide = include_str!("../../docs/emulator.md");
        let names = TERMS.iter().map(|(_, name, _)| name).chain(&METADATA);
        assert!(names.into_iter().all(|name| guide.contains(&format!("`{name}`"))));
        assert!(
            is_name("rotate-key")
                && is_permission("View/getKeyInfo")
                && !is_permission("View/encrypt")
        );
    }
}

//! The permissions of an account.

use crate::emulator::action;
use crate::emulator::action::Action;
use crate::emulator::answer::{Kind, Refusal};

/// The policy that permits everything.
const MANAGER: &str = "NCP_KMS_MANAGER";
/// The policy that permits reading.
const VIEWER: &str = "NCP_KMS_VIEWER";
const VIEW: &str = "View/";

/// Policies and permissions by name.
#[derive(Debug, Clone)]
pub(crate) struct Rights(Vec<String>);

impl Rights {
    pub(crate) fn all() -> Self {
        Self(vec![MANAGER.into()])
    }

    pub(crate) fn parse(names: &[&str]) -> Result<Self, Refusal> {
        match names
            .iter()
            .all(|name| [MANAGER, VIEWER].contains(name) || action::is_permission(name))
        {
            true => Ok(Self(names.iter().map(|name| (*name).to_owned()).collect())),
            false => Err(Refusal::request("a sub account's permission does not exist")),
        }
    }

    /// The gateway refuses an account without any permission; the service refuses one that lacks
    /// this permission.
    pub(crate) fn check(&self, action: Action) -> Result<(), Refusal> {
        let wanted = action.permission();
        let permits = |right: &String| {
            right == MANAGER || right == wanted || (right == VIEWER && wanted.starts_with(VIEW))
        };
        if self.0.iter().any(permits) {
            return Ok(());
        }
        let kind = if self.0.is_empty() { Kind::PermissionDenied } else { Kind::Forbidden };
        Err(Refusal::new(kind, "the account is not permitted to do this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_permits_its_own() {
        let check = |names: &[&str], action| {
            Rights::parse(names).unwrap().check(action).map_err(|refusal| refusal.kind)
        };
        assert_eq!(check(&["Change/encrypt"], Action::Encrypt), Ok(()));
        assert_eq!(check(&["Change/encrypt"], Action::Decrypt), Err(Kind::Forbidden));
        assert_eq!(check(&[VIEWER], Action::ShowKey), Ok(()));
        assert_eq!(check(&[VIEWER], Action::Encrypt), Err(Kind::Forbidden));
        assert_eq!(check(&[VIEWER, "Change/encrypt"], Action::Encrypt), Ok(()));
        assert_eq!(check(&[], Action::Encrypt), Err(Kind::PermissionDenied));
        assert!(Rights::parse(&["Change/everything"]).is_err() && Rights::parse(&[""]).is_err());
    }
}

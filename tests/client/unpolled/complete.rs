//! Whether the table of calls has them all.

use super::calls::CALLS;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{ImplItem, ReturnType, Type, Visibility};

/// The asynchronous functions that are public, as `Type::name`, and those by which a key of the
/// service is a key wrapper.
#[derive(Default)]
struct Calls(BTreeSet<String>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let Type::Path(of) = &*item.self_ty else { return };
        let of = &of.path.segments.last().unwrap().ident;
        let wraps = item.trait_.as_ref().is_some_and(|(path, _)| path.is_ident("KeyWrapper"));
        for function in &item.items {
            let ImplItem::Fn(function) = function else { continue };
            let public = matches!(function.vis, Visibility::Public(_));
            if (public || wraps) && is_async(&function.sig) {
                self.0.insert(format!("{of}::{}", function.sig.ident));
            }
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if matches!(item.vis, Visibility::Public(_)) && is_async(&item.sig) {
            self.0.insert(item.sig.ident.to_string());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| attribute.path().is_ident("cfg");
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }
}

fn is_async(signature: &syn::Signature) -> bool {
    let ReturnType::Type(_, output) = &signature.output else {
        return signature.asyncness.is_some();
    };
    signature.asyncness.is_some() || names_a_future(output)
}

fn names_a_future(output: &Type) -> bool {
    struct Found(bool);
    impl<'ast> Visit<'ast> for Found {
        fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
            self.0 |= ident.to_string().ends_with("Future");
        }
    }
    let mut found = Found(false);
    found.visit_type(output);
    found.0
}

fn collect(text: &str, calls: &mut Calls) {
    calls.visit_file(&syn::parse_file(text).unwrap());
}

fn read(dir: &Path, calls: &mut Calls) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, calls);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            collect(&fs::read_to_string(path).unwrap(), calls);
        }
    }
}

#[test]
fn the_table_has_every_call() {
    let mut calls = Calls::default();
    for dir in ["envelope", "fields", "io", "kms", "stored"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dir), &mut calls);
    }
    let listed: BTreeSet<String> = CALLS.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(listed.len(), CALLS.len(), "a name is there twice");
    let missing: Vec<_> = calls.0.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&calls.0).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; gone: {gone:?}");
}

#[test]
fn a_new_call_would_be_missed() {
    let mut calls = Calls::default();
    let planted = "
        impl Key { pub async fn one(&self) {} async fn private(&self) {} pub fn other(&self) {} }
        impl<T: X> Writer<T> { pub fn two(&self) -> BoxFuture<'_, ()> {} }
        impl KeyWrapper for Key { fn three(&self) -> BoxFuture<'_, ()> {} fn key_id(&self) {} }
        impl Other for Key { fn four(&self) -> BoxFuture<'_, ()> {} }
        pub async fn five() {}
        pub fn six() -> impl Future<Output = ()> {}
        mod inner { impl Key { pub async fn seven(&self) {} } }
        #[cfg(test)] mod tests { impl Key { pub async fn eight(&self) {} } }";
    collect(planted, &mut calls);
    let want = ["Key::one", "Key::seven", "Key::three", "Writer::two", "five", "six"];
    assert_eq!(calls.0.into_iter().collect::<Vec<_>>(), want);
}

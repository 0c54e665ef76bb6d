//! salt

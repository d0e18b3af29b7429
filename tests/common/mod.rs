//! What several test files share.

pub mod lab;
pub mod windlass;

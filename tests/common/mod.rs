//! What several test files share.

pub mod debs;
pub mod lab;
pub mod windlass;

//! The guide: one chapter for each use of this crate.

#[allow(unused_imports, reason = "the links of the chapters are resolved here")]
use crate::*;

/// Includes pages of `docs/` as the documentation of modules.
macro_rules! chapters {
    ($($name:ident = $page:literal;)*) => {
        $(
            #[doc = include_str!(concat!("../docs/", $page, ".md"))]
            pub mod $name {}
        )*
    };
}

chapters! {
    scopes = "guide/scopes";
    finding = "guide/finding";
    pools = "guide/pools";
    many = "guide/many";
    waiting = "guide/waiting";
    parallel = "guide/parallel";
    gates = "guide/gates";
    errors = "guide/errors";
    ending = "guide/ending";
    cancelling = "guide/cancelling";
    deadlines = "guide/deadlines";
    values = "guide/values";
    async_code = "guide/async-code";
    servers = "guide/servers";
    machines = "guide/machines";
    seeing = "guide/seeing";
    after_the_response = "after-the-response";
    other_runtimes = "other-runtimes";
    glossary = "glossary";
}

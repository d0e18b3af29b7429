//! Hashes, password hashes, UUIDs.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, builtin};
use crate::values::error::fail;
use crate::values::evaluation;
use crate::values::random::Stream;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("hash", "the digest of the text, in hex", &["value", "hashtype"], hash),
    builtin("checksum", "the SHA-1 of the text, in hex", &["value"], |call| digest("sha1", &call.text("value")?)),
    builtin("sha1", "the SHA-1 of the text, in hex", &["value"], |call| digest("sha1", &call.text("value")?)),
    builtin("md5", "the MD5 of the text, in hex", &["value"], |call| digest("md5", &call.text("value")?)),
    builtin(
        "password_hash",
        "the hash of a password as /etc/shadow has it",
        &["value", "hashtype", "salt", "rounds", "ident", "salt_size"],
        password,
    ),
    builtin("to_uuid", "a UUID of version 5 made from the text", &["value", "namespace"], to_uuid),
];

/// What a salt may be made of.
pub(crate) const SALT_CHARACTERS: &str = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The namespace of Ansible's `to_uuid`.
const NAMESPACE: &str = "361e6d51-faec-444a-9079-341386da8e2e";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string can't fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn digest(kind: &str, text: &str) -> Made<Value> {
    let bytes = text.as_bytes();
    Ok(Value::from(match kind {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&Sha1::digest(bytes)),
        "sha224" => hex(&Sha224::digest(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha384" => hex(&Sha384::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        other => {
            return Err(fail(format!(
                "there is no hash '{other}'; there are md5, sha1, sha224, sha256, sha384, sha512"
            )));
        }
    }))
}

fn hash(call: &Call<'_>) -> Made<Value> {
    digest(&call.opt_text("hashtype")?.unwrap_or_else(|| "sha1".into()), &call.text("value")?)
}

fn password(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let kind = call.opt_text("hashtype")?.unwrap_or_else(|| "sha512".into());
    if call.opt_text("ident")?.is_some() {
        return Err(fail("`ident` belongs to bcrypt, which is not supported; leave it out and use sha512"));
    }
    let rounds = match call.opt("rounds")? {
        None | Some(Value::Null) => None,
        Some(_) => Some(call.int("rounds", None)?),
    };
    let salt = if let Some(salt) = call.opt_text("salt")? {
        salt.to_string()
    } else {
        let size = usize::try_from(call.int("salt_size", Some(16))?).unwrap_or(16);
        let mut stream = Stream::new(evaluation::current()?.draw("password_hash"));
        let all = SALT_CHARACTERS.as_bytes();
        (0..size).map(|_| char::from(all[usize::try_from(stream.below(64)).unwrap_or(0)])).collect()
    };
    let hashed = password_hash(&text, &kind, &salt, rounds)?;
    evaluation::current()?.engine.options.redactor.add(&hashed);
    Ok(Value::from(hashed))
}

/// The hash of a password as `crypt(3)` has it: `$6$…` or `$5$…`.
pub(crate) fn password_hash(password: &str, kind: &str, salt: &str, rounds: Option<i64>) -> Made<String> {
    let (ident, default) = match kind.strip_suffix("_crypt").unwrap_or(kind) {
        "sha512" => ("6", 656_000),
        "sha256" => ("5", 535_000),
        "bcrypt" | "blowfish" | "md5" => {
            return Err(fail(format!("the password hash '{kind}' is not supported; use sha512 or sha256")));
        }
        other => return Err(fail(format!("there is no password hash '{other}'; there are sha512 and sha256"))),
    };
    if salt.is_empty() || salt.len() > 16 || !salt.chars().all(|c| SALT_CHARACTERS.contains(c)) {
        return Err(fail("the salt must be 1 to 16 of the characters ./0-9A-Za-z"));
    }
    let rounds = u32::try_from(rounds.unwrap_or(default)).map_err(|_| fail("`rounds` must be positive"))?;
    let params = sha_crypt::Params::new(rounds).map_err(|_| fail("`rounds` must be from 1000 to 999999999"))?;
    let encoded = if ident == "6" {
        encode(&sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), params), &ORDER_512)
    } else {
        encode(&sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), params), &ORDER_256)
    };
    let shown = if rounds == 5000 { String::new() } else { format!("rounds={rounds}$") };
    Ok(format!("${ident}${shown}{salt}${encoded}"))
}

/// The order in which crypt's base64 takes the bytes of a SHA-512 (three bytes make four characters; the last is alone).
const ORDER_512: [[usize; 3]; 21] = {
    let mut order = [[0, 21, 42]; 21];
    let mut i = 1;
    while i < 21 {
        let [a, b, c] = order[i - 1];
        order[i] = [b + 1, c + 1, a + 1];
        i += 1;
    }
    order
};

/// The same for SHA-256.
const ORDER_256: [[usize; 3]; 10] = {
    let mut order = [[0, 10, 20]; 10];
    let mut i = 1;
    while i < 10 {
        let [a, b, c] = order[i - 1];
        order[i] = [c + 1, a + 1, b + 1];
        i += 1;
    }
    order
};

fn encode(bytes: &[u8], order: &[[usize; 3]]) -> String {
    let all = SALT_CHARACTERS.as_bytes();
    let mut out = String::new();
    let mut put = |mut value: u32, count: usize| {
        for _ in 0..count {
            out.push(char::from(all[(value & 63) as usize]));
            value >>= 6;
        }
    };
    for [a, b, c] in order {
        put(u32::from(bytes[*a]) << 16 | u32::from(bytes[*b]) << 8 | u32::from(bytes[*c]), 4);
    }
    match bytes.len() {
        64 => put(u32::from(bytes[63]), 2),
        _ => put(u32::from(bytes[31]) << 8 | u32::from(bytes[30]), 3),
    }
    out
}

fn to_uuid(call: &Call<'_>) -> Made<Value> {
    let namespace = call.opt_text("namespace")?.unwrap_or_else(|| NAMESPACE.into());
    let namespace = uuid::Uuid::parse_str(&namespace).map_err(|_| fail(format!("'{namespace}' is no UUID")))?;
    Ok(Value::from(uuid::Uuid::new_v5(&namespace, call.text("value")?.as_bytes()).to_string()))
}

use crate::host::Output;
use crate::modules::testing::Fake;
use serde_json::json;

fn host(objects: &serde_json::Value) -> Fake {
    let said =
        json!({"whoami": "postgres", "roles": ["shop", "reader"], "objects": objects, "missing": []}).to_string();
    Fake::new().probe(move |_| Some(Output::ok(&said))).on_run(|_, _| Some(Output::ok("")))
}

fn acl(grantee: &str, privileges: &[&str], grantable: bool) -> Vec<serde_json::Value> {
    privileges.iter().map(|p| json!({"grantee": grantee, "privilege": p, "grantable": grantable})).collect()
}

fn queries(host: &mut Fake, args: serde_json::Value) -> String {
    host.converge("postgresql_privs", args).result.data["queries"].to_string()
}

#[test]
fn only_what_is_missing_is_granted() {
    let db =
        json!([{"name": "shop", "acl": acl("reader", &["CONNECT"], false), "all": ["CREATE", "CONNECT", "TEMPORARY"]}]);
    let mut host = host(&db);
    host.settled("postgresql_privs", json!({"db": "shop", "type": "database", "roles": "reader", "privs": "connect"}));
    let args = json!({"db": "shop", "type": "database", "roles": "reader,shop", "privs": "CONNECT,TEMP"});
    assert_eq!(queries(&mut host, args), "['GRANT CONNECT, TEMPORARY ON DATABASE \"shop\" TO \"reader\", \"shop\"']");
    let args = json!({"db": "shop", "type": "database", "roles": "reader", "privs": "ALL", "grant_option": true});
    assert_eq!(queries(&mut host, args), "['GRANT ALL ON DATABASE \"shop\" TO \"reader\" WITH GRANT OPTION']");
}

#[test]
fn revoked_only_from_those_who_have_it() {
    let schema = json!([{"name": "public", "acl": acl("", &["CREATE", "USAGE"], false)}]);
    let mut host = host(&schema);
    let args = json!({"db": "shop", "type": "schema", "objs": "public", "roles": "PUBLIC,reader", "privs": "CREATE", "state": "absent"});
    assert_eq!(queries(&mut host, args), "['REVOKE CREATE ON SCHEMA \"public\" FROM PUBLIC']");
    host.settled(
        "postgresql_privs",
        json!({"db": "shop", "type": "schema", "objs": "public", "roles": "reader", "privs": "ALL", "state": "absent"}),
    );
}

#[test]
fn tables_name_their_schema() {
    let tables = json!([
        {"name": "a", "schema": "app", "acl": acl("reader", &["SELECT"], true)},
        {"name": "b\"", "schema": "app", "acl": []},
    ]);
    let mut host = host(&tables);
    let args = json!({"db": "shop", "schema": "app", "objs": "ALL_IN_SCHEMA", "roles": "reader", "privs": "SELECT", "grant_option": false});
    assert_eq!(
        queries(&mut host, args),
        "['REVOKE GRANT OPTION FOR SELECT ON TABLE \"app\".\"a\" FROM \"reader\"', 'GRANT SELECT ON TABLE \"app\".\"b\"\"\" TO \"reader\"']"
    );
}

#[test]
fn groups_and_objects_to_come() {
    let mut host = host(&json!([{"name": "team", "acl": acl("shop", &["MEMBER"], false)}]));
    host.settled("postgresql_privs", json!({"db": "x", "type": "group", "objs": "team", "roles": "shop"}));
    let args = json!({"db": "x", "type": "group", "objs": "team", "roles": "shop,reader"});
    assert_eq!(queries(&mut host, args), "['GRANT \"team\" TO \"reader\"']");
    let mut host = self::host(&json!([{"name": "TABLES", "kind": "TABLES", "target": "shop", "acl": []}]));
    let args = json!({"db": "x", "type": "default_privs", "objs": "TABLES", "schema": "app", "roles": "reader", "privs": "SELECT", "target_roles": "shop"});
    assert_eq!(
        queries(&mut host, args),
        "['ALTER DEFAULT PRIVILEGES FOR ROLE \"shop\" IN SCHEMA \"app\" GRANT SELECT ON TABLES TO \"reader\"']"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut host = host(&json!([]));
    let mut fails = |args| host.fails("postgresql_privs", args);
    assert!(
        fails(json!({"db": "x", "roles": "nobody", "objs": "a", "privs": "SELECT"}))
            .contains("'nobody' does not exist")
    );
    assert!(fails(json!({"db": "x", "roles": "shop", "objs": "a", "privs": "FLY"})).contains("Invalid privileges"));
    assert!(fails(json!({"db": "x", "roles": "shop", "privs": "SELECT"})).contains("\"objs\" is required"));
    assert!(
        fails(json!({"db": "x", "roles": "shop", "type": "database", "schema": "y", "privs": "ALL"}))
            .contains("not allowed")
    );
    assert!(
        fails(json!({"db": "x", "roles": "shop", "type": "default_privs", "objs": "CATS", "privs": "ALL"}))
            .contains("Invalid Object set")
    );
    host.settled(
        "postgresql_privs",
        json!({"db": "x", "roles": "nobody", "objs": "a", "privs": "SELECT", "fail_on_role": false}),
    );
}

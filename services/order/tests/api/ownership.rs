use std::collections::BTreeSet;

use crate::harness::{Orders, Who, on_both_databases};

on_both_databases!(everyone_sees_and_cancels_what_is_theirs);

const EVERYONE: [Who; 4] = [Who::Guest, Who::Anna, Who::Boris, Who::Admin];

/// Who may see and cancel whose orders. Rows: the caller; columns: the owner, as in [`EVERYONE`].
const MAY: [(Who, [bool; 4]); 4] = [
    (Who::Guest, [false, false, false, false]),
    (Who::Anna, [false, true, false, false]),
    (Who::Boris, [false, false, true, false]),
    (Who::Admin, [true, true, true, true]),
];

async fn everyone_sees_and_cancels_what_is_theirs(orders: Orders) {
    for (caller, row) in MAY {
        let mut seen = BTreeSet::new();
        for (owner, may) in EVERYONE.into_iter().zip(row) {
            let id = orders.placed_by(owner).await;
            let shown = orders.get(caller, &format!("/orders/{id}")).await;
            let cancelled = orders.cancel(caller, &id).await;
            if may {
                shown.expect(200, "");
                cancelled.expect(200, "");
                seen.insert(id);
            } else {
                shown.expect(404, "not-found");
                cancelled.expect(404, "not-found");
                let untouched = orders.get(Who::Admin, &format!("/orders/{id}")).await;
                assert_eq!(untouched.json()["status"], "pending", "{caller:?} {owner:?}");
            }
        }
        let list = orders.get(caller, "/orders?limit=100").await.expect(200, "").json();
        let list = list.as_array().unwrap();
        let listed: BTreeSet<_> = list.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect();
        assert!(listed.is_superset(&seen), "{caller:?}");
        let address = if caller == Who::Guest { "g***@example.com" } else { caller.email() };
        if caller != Who::Admin {
            assert!(list.iter().all(|order| order["customer_email"] == address), "{caller:?}");
        }
    }
}

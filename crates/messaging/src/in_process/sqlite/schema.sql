CREATE TABLE exchanges (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
    name TEXT NOT NULL PRIMARY KEY,
    delivery_limit INTEGER NOT NULL,
    max_length INTEGER NOT NULL,
    -- A full log drops its oldest message; every other full queue refuses the new one.
    is_log INTEGER NOT NULL,
    -- How many messages it has, dead letters included. Kept by the triggers.
    length INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE bindings (
    exchange TEXT NOT NULL REFERENCES exchanges,
    pattern TEXT NOT NULL,
    queue TEXT NOT NULL REFERENCES queues,
    PRIMARY KEY (exchange, pattern, queue)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    -- The place in the queue. AUTOINCREMENT: no place is given twice.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL REFERENCES queues,
    deliveries INTEGER NOT NULL DEFAULT 0,
    -- Why it is a dead letter; NULL while it is none.
    death TEXT,
    message_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    app_id TEXT NOT NULL,
    -- Microseconds since 1970.
    happened_at INTEGER NOT NULL,
    headers TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE INDEX messages_ready ON messages (queue, id) WHERE death IS NULL;
CREATE INDEX messages_dead ON messages (queue, id) WHERE death IS NOT NULL;

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
    UPDATE queues SET length = length + 1 WHERE name = new.queue;
END;
CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
    UPDATE queues SET length = length - 1 WHERE name = old.queue;
END;

PRAGMA user_version = 1;

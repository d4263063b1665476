-- What order_service writes for an order of two lines, statement by statement (services/order/src/store, crates/outbox).
-- The ids grow with time, as UUIDv7 do; their digits are decimal, which is valid hexadecimal as well.
\set n :n + 1
\set id :n * 1000 + :client_id
BEGIN;
INSERT INTO orders.orders (id, customer_id, customer_email, total_amount, currency, status, aggregate_version, created_at) VALUES (lpad(:id, 32, '0')::uuid, NULL, 'buyer@example.com', 250000, 'RUB', 'pending', 1, now());
INSERT INTO orders.order_items (order_id, position, product_id, name, quantity, price) VALUES (lpad(:id, 32, '0')::uuid, 0, 1, 'The first product', 2, 50000), (lpad(:id, 32, '0')::uuid, 1, 2, 'The second product', 1, 150000);
INSERT INTO orders.outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, created_at) VALUES (lpad(:id, 32, '0')::uuid, 'order', lpad(:id, 36, '0'), 1, 'order_created', 'order.created', '{"order_id":"01991b64-98c5-7e13-b42a-a3f1d5c8e0b7","customer_email":"buyer@example.com","total_amount":2500.00,"items":[{"product_id":1,"quantity":2,"price":500.00},{"product_id":2,"quantity":1,"price":1500.00}]}'::json, '{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'::json, now());
COMMIT;

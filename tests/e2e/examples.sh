#!/usr/bin/env bash
# The specification's examples, word for word, against a shop that runs on its usual ports:
#
#   cargo run                  (or: docker compose up)
#   bash tests/e2e/examples.sh
set -euo pipefail

say() { printf '\n\n### %s\n' "$1"; }

say "Register, and get a token (409 when run again: the address is taken)"
curl -X POST http://localhost:8001/auth/register \
  -H "Content-Type: application/json" \
  -d '{"email":"user@example.com","password":"password123"}'

say "Log in"
curl -X POST http://localhost:8001/auth/token \
  -H "Content-Type: application/json" \
  -d '{"email":"user@example.com","password":"password123"}'

say "The products: from the database, then from the cache"
curl http://localhost:8002/products
curl http://localhost:8002/products

say "Place an order"
curl -X POST http://localhost:8003/orders \
  -H "Content-Type: application/json" \
  -d '{
    "customer_email": "buyer@example.com",
    "items": [
      { "product_id": 1, "quantity": 2, "price": 500.0 },
      { "product_id": 2, "quantity": 1, "price": 1500.0 }
    ]
  }'

say "The orders"
curl http://localhost:8003/orders

say "Health"
for port in 8001 8002 8003; do curl http://localhost:$port/health; echo; done

# Retries until the node has started and, at the first start, has created the account.
tries=60
until rabbitmqctl --quiet change_password "$RABBITMQ_DEFAULT_USER" "$RABBITMQ_DEFAULT_PASS"; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 2
done

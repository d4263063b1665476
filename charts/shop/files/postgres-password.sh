# Connects over the socket, where the image trusts everybody inside the container. Retries until the server listens and, at the first start, the role exists.
tries=60
until printf '%s\n' '\getenv role POSTGRES_USER' '\getenv password POSTGRES_PASSWORD' 'ALTER ROLE :"role" PASSWORD :'"'password'"';' |
  psql --no-psqlrc --quiet --no-password --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 1
done

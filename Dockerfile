# One image per service, all from one cargo build, for the platform on which they are built:
#
#   docker build --target auth -t shop/auth .
#   docker buildx bake                          # all of them, see docker-bake.hcl
#
# Targets: auth, catalog, order, payment, notification, web, telegram, outbox-controller, and shop (all of them in one process, on SQLite).
# They listen on all IPv4 and IPv6 addresses, and serve probes and metrics on port 9000, which nobody outside needs.
# The binaries include their C library, see docs/adr/0010-static-binaries.md.

# `host` takes binaries compiled outside, as `cargo xtask images --dev` does; nothing else may set it.
ARG BINARIES=layers

FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
# What remains depends only on the manifests, so the next stage's first layer stays cached until a dependency changes.
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -type d -empty -delete \
    && find . -mindepth 2 -name Cargo.toml -printf '%h\n' | while read -r package; do \
         mkdir -p "$package/src" \
         && echo 'fn main() {}' > "$package/src/main.rs" \
         && : > "$package/src/lib.rs"; \
       done

FROM rust:1.95-bookworm AS build
WORKDIR /src
ENV PACKAGES="-p auth -p catalog -p order -p payment -p notification -p web -p telegram -p outbox-controller -p shop"
# Only with an explicit target does Cargo keep these flags from build scripts and procedural macros, which cannot be static.
# Paths are shortened: they appear in every panic message, and only show where the image was built.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo/registry/src= --remap-path-prefix=/src="
COPY --from=manifests /src .
RUN cargo build --profile container --locked --target "$(uname -m)-unknown-linux-gnu" $PACKAGES
COPY . .
# Cargo compares modification times, and the sources may be older than the stubs that were just built.
RUN find crates services -name '*.rs' -exec touch {} + \
    && cargo build --profile container --locked --target "$(uname -m)-unknown-linux-gnu" $PACKAGES \
    && for binary in auth catalog order payment notification web telegram outbox-controller shop; do \
         install -D -t "/out/$binary/usr/local/bin" "target/$(uname -m)-unknown-linux-gnu/container/$binary"; \
       done \
    && mkdir /out/data

FROM build AS layers
# Layers contain modification times: with those of the commit, the same sources produce the same layers.
ARG SOURCE_DATE_EPOCH=0
RUN find /out -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM scratch AS host
COPY . /out

FROM ${BINARIES} AS binaries

FROM gcr.io/distroless/static-debian12:nonroot AS runtime
ARG SOURCE=""
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.vendor="The shop" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# By number, because Kubernetes must be able to see that it is not root.
USER 65532:65532

FROM runtime AS auth
LABEL org.opencontainers.image.title="auth" \
      org.opencontainers.image.description="Accounts and tokens of the shop"
COPY --from=binaries /out/auth /
ENV AUTH_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
# Distroless has no shell and no curl, so the binary requests its own /readyz.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/auth", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/auth"]

FROM runtime AS catalog
LABEL org.opencontainers.image.title="catalog" \
      org.opencontainers.image.description="Products and stock of the shop"
COPY --from=binaries /out/catalog /
ENV CATALOG_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/catalog", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/catalog"]

FROM runtime AS order
LABEL org.opencontainers.image.title="order" \
      org.opencontainers.image.description="Orders of the shop, and their outbox"
COPY --from=binaries /out/order /
ENV ORDER_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/order", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/order"]

FROM runtime AS payment
LABEL org.opencontainers.image.title="payment" \
      org.opencontainers.image.description="Charges the orders of the shop, and gives charges back"
COPY --from=binaries /out/payment /
ENV PAYMENT_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/payment", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/payment"]

FROM runtime AS notification
LABEL org.opencontainers.image.title="notification" \
      org.opencontainers.image.description="Writes to the customers of the shop about their orders"
COPY --from=binaries /out/notification /
ENV NOTIFICATION_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/notification", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/notification"]

FROM runtime AS web
LABEL org.opencontainers.image.title="web" \
      org.opencontainers.image.description="The storefront of the shop"
COPY --from=binaries /out/web /
ENV WEB_LISTEN=[::]:8000 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8000 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/web", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/web"]

FROM runtime AS telegram
LABEL org.opencontainers.image.title="telegram" \
      org.opencontainers.image.description="The Telegram bot of the shop"
COPY --from=binaries /out/telegram /
ENV TELEGRAM_LISTEN=[::]:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/telegram", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/telegram"]

FROM runtime AS outbox-controller
LABEL org.opencontainers.image.title="outbox-controller" \
      org.opencontainers.image.description="Publishes the outbox of the shop to RabbitMQ"
COPY --from=binaries /out/outbox-controller /
ENV OUTBOX_LISTEN=[::]:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/outbox-controller", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/outbox-controller"]

FROM runtime AS shop
LABEL org.opencontainers.image.title="shop" \
      org.opencontainers.image.description="The whole shop in one process, on SQLite"
COPY --from=binaries /out/shop /
COPY --from=binaries --chown=65532:65532 /out/data /data
ENV SHOP_DATA_DIR=/data \
    AUTH_LISTEN=[::]:8001 \
    CATALOG_LISTEN=[::]:8002 \
    ORDER_LISTEN=[::]:8003 \
    PAYMENT_LISTEN=[::]:8004 \
    NOTIFICATION_LISTEN=[::]:8005 \
    WEB_LISTEN=[::]:8080 \
    OUTBOX_LISTEN=[::]:8081 \
    TELEGRAM_LISTEN=[::]:8006 \
    PROBE_LISTEN=[::]:9000
EXPOSE 8001 8002 8003 8004 8005 8080 8081 9000
VOLUME /data
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/shop", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop"]

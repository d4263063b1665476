# One image a service, all from one cargo build:
#
#   docker build --target auth -t shop/auth .
#
# Targets: auth, catalog, order, web, telegram, outbox-controller, and shop (all of them in one process, on SQLite).

FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
# What is left depends on the manifests alone, so the next stage's first layer holds until a dependency changes.
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -type d -empty -delete \
    && find . -mindepth 2 -name Cargo.toml -printf '%h\n' | while read -r package; do \
         mkdir -p "$package/src" \
         && echo 'fn main() {}' > "$package/src/main.rs" \
         && : > "$package/src/lib.rs"; \
       done

FROM rust:1.95-bookworm AS build
WORKDIR /src
ENV PACKAGES="-p auth -p catalog -p order -p web -p telegram -p outbox-controller -p shop"
COPY --from=manifests /src .
RUN cargo build --profile container --locked $PACKAGES
COPY . .
# Cargo goes by modification times, and the sources may be older than the stubs that were just built.
RUN find crates services -name '*.rs' -exec touch {} + \
    && cargo build --profile container --locked $PACKAGES \
    && mkdir -p /out/data \
    && cd target/container \
    && cp auth catalog order web telegram outbox-controller shop /out/

FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="The shop" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS auth
LABEL org.opencontainers.image.title="auth" \
      org.opencontainers.image.description="Accounts and tokens of the shop"
COPY --from=build /out/auth /usr/local/bin/auth
ENV AUTH_LISTEN=0.0.0.0:8000
EXPOSE 8000
# Distroless has no shell and no curl, so the binary asks its own /readyz.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/auth", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/auth"]

FROM runtime AS catalog
LABEL org.opencontainers.image.title="catalog" \
      org.opencontainers.image.description="Products and stock of the shop"
COPY --from=build /out/catalog /usr/local/bin/catalog
ENV CATALOG_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/catalog", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/catalog"]

FROM runtime AS order
LABEL org.opencontainers.image.title="order" \
      org.opencontainers.image.description="Orders of the shop, and their outbox"
COPY --from=build /out/order /usr/local/bin/order
ENV ORDER_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/order", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/order"]

FROM runtime AS web
LABEL org.opencontainers.image.title="web" \
      org.opencontainers.image.description="The storefront of the shop"
COPY --from=build /out/web /usr/local/bin/web
ENV WEB_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/web", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/web"]

FROM runtime AS telegram
LABEL org.opencontainers.image.title="telegram" \
      org.opencontainers.image.description="The Telegram bot of the shop"
COPY --from=build /out/telegram /usr/local/bin/telegram
ENV TELEGRAM_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/telegram", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/telegram"]

FROM runtime AS outbox-controller
LABEL org.opencontainers.image.title="outbox-controller" \
      org.opencontainers.image.description="Publishes the outbox of the shop to RabbitMQ"
COPY --from=build /out/outbox-controller /usr/local/bin/outbox-controller
ENV OUTBOX_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/outbox-controller", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/outbox-controller"]

FROM runtime AS shop
LABEL org.opencontainers.image.title="shop" \
      org.opencontainers.image.description="The whole shop in one process, on SQLite"
COPY --from=build /out/shop /usr/local/bin/shop
COPY --from=build --chown=65532:65532 /out/data /data
ENV SHOP_DATA_DIR=/data \
    AUTH_LISTEN=0.0.0.0:8001 \
    CATALOG_LISTEN=0.0.0.0:8002 \
    ORDER_LISTEN=0.0.0.0:8003 \
    WEB_LISTEN=0.0.0.0:8080 \
    OUTBOX_LISTEN=0.0.0.0:8081 \
    TELEGRAM_LISTEN=0.0.0.0:8006
EXPOSE 8001 8002 8003 8080 8081
VOLUME /data
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/shop", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/shop"]

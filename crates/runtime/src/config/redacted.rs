use url::Url;

/// An address without user, password and query, for logs and errors.
pub fn redacted(address: &str) -> String {
    match Url::parse(address) {
        // Without `//` it may be a user and a password, unless it is a file.
        Ok(mut url) if url.has_authority() || url.scheme() == "sqlite" => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        _ => "(malformed address)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(
            redacted("amqp://shop:s3cret@rabbitmq/shop?password=s3cret#s3cret"),
            "amqp://rabbitmq/shop"
        );
        assert_eq!(redacted("sqlite:data/orders.db?key=s3cret"), "sqlite:data/orders.db");
        for address in ["shop:s3cret@db", "s3cret", "postgres://shop:s3/cret@db"] {
            assert_eq!(redacted(address), "(malformed address)");
        }
    }
}

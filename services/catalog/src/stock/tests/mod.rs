//! The books on both databases, without a broker: each event is one transaction, as in the consumer.

mod books;
mod races;
mod room;

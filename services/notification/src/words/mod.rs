//! What customers read, in their language.

mod letter;
mod phrases;
#[cfg(test)]
mod tests;

pub(crate) use self::letter::Letter;

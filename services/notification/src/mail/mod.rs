//! E-mail: what a mail looks like on the wire, and where it goes, a mail server or a folder.

mod address;
mod folder;
mod message;
mod post;
mod sender;
mod smtp;
mod unsent;

pub use self::{
    address::{InvalidMailUrl, MailUrl},
    sender::{InvalidSender, Sender},
};
pub(crate) use self::{
    folder::{Folder, Mail, PAGE},
    message::compose,
    post::Post,
    unsent::Unsent,
};

use lettre::{
    Address, Message,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
    },
};

use super::super::unsent::Unsent;

/// How much of a server's words is logged.
const WORDS: usize = 200;

/// Hands a mail over, command by command: what a refusal means depends on the command that is refused.
pub(super) async fn hand_over(connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<(), Unsent> {
    let envelope = mail.envelope();
    // The sender is the same for every mail, so a refusal is about us.
    let sender = Mail::new(envelope.from().cloned(), Vec::new());
    connection.command(sender).await.map_err(|error| Unsent::Away(words(&error, None)))?;
    let Some(recipient) = envelope.to().first() else {
        return Err(Unsent::Refused("the mail has no recipient".to_owned()));
    };
    let refused = |error: Error| judged(&error, recipient);
    connection.command(Rcpt::new(recipient.clone(), Vec::new())).await.map_err(refused)?;
    connection.command(Data).await.map_err(refused)?;
    connection.message(&mail.formatted()).await.map_err(refused)?;
    Ok(())
}

fn judged(error: &Error, recipient: &Address) -> Unsent {
    let words = words(error, Some(recipient));
    match error.status().map(u16::from) {
        // The service closes, or wants a login: no other mail would fare better.
        Some(421 | 530) => Unsent::Away(words),
        Some(500..) => Unsent::Refused(words),
        _ => Unsent::NotNow(words),
    }
}

/// What the server said, in one line of bounded length. Servers repeat the address, which does not belong into a log.
fn words(error: &Error, recipient: Option<&Address>) -> String {
    let mut words = error.to_string();
    if let Some(recipient) = recipient {
        words = words.replace(recipient.as_ref() as &str, "(the recipient)");
    }
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

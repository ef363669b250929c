//! By mail: lettre speaks SMTP, and writes the message so that nothing in it can become a header.

use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::deliver::Undelivered;
use crate::message::Message;
use crate::receiver::{Mail, Security};
use crate::secret::Secret;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn send(mail: &Mail, folder: &Path, message: &Message) -> Result<String, Undelivered> {
    let letter = letter(mail, message)?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
        .port(mail.port())
        .timeout(Some(PATIENCE))
        .tls(security(mail, folder)?);
    if let (Some(user), Some(file)) = (&mail.user, &mail.password_file) {
        let password = Secret::read(&folder.join(file))?;
        let password = String::from_utf8_lossy(password.as_bytes()).into_owned();
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    let answer = transport.build().send(letter).await?;
    let said: Vec<_> = answer.message().collect();
    Ok(crate::message::one_line(&format!("{} {}", answer.code(), said.join(" "))))
}

fn security(mail: &Mail, folder: &Path) -> Result<Tls, Undelivered> {
    if mail.security == Security::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca_file {
        parameters = parameters.certificate_store(CertificateStore::None);
        for certificate in crate::tls::certificates(&folder.join(file))? {
            parameters = parameters.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
    }
    let parameters = parameters.build_rustls()?;
    Ok(match mail.security {
        Security::Tls => Tls::Wrapper(parameters),
        Security::Starttls | Security::None => Tls::Required(parameters),
    })
}

/// The mail: its id is the message's, and it refers to the incident, so that programs show all of one together.
fn letter(mail: &Mail, message: &Message) -> Result<lettre::Message, Undelivered> {
    let address = |text: &str| -> Result<Mailbox, Undelivered> {
        text.parse().map_err(|_checked_before| lettre::error::Error::MissingTo.into())
    };
    let from = address(&mail.from)?;
    let domain = from.email.domain().to_owned();
    let thread = format!("<{}@{domain}>", message.thread);
    let mut letter = lettre::Message::builder()
        .from(from)
        .subject(&message.subject)
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .references(thread.clone())
        .in_reply_to(thread)
        .date(std::time::UNIX_EPOCH + Duration::from_millis(message.at.as_millis()))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        letter = letter.to(address(to)?);
    }
    Ok(letter.body(message.text.clone())?)
}

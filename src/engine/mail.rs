//! Owns sending mail: queued in memory, sent in the background, retried a few times.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use secrecy::ExposeSecret;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config,
    meters::{Count, Named},
    model::{error::Error, secret},
};

/// Maximum mails in the queue; more are dropped with a warning.
const WAITING_MAX: usize = 256;
/// Pauses before each retry of a mail; after the last retry, it is given up.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];
/// Timeout of one attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);
/// Longest time that a shutdown waits for mail, in total.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The outcomes of a mail: sent; a failed attempt; given up after the last one; dropped because the queue was full.
pub const MAILS: [&str; 4] = ["sent", "failed", "given_up", "dropped"];

/// Sends mail, if it is configured.
#[derive(Debug)]
pub struct Mailer {
    out: Option<Out>,
}

#[derive(Debug)]
struct Out {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    queue: Sender<Message>,
    waiting: Mutex<Option<Receiver<Message>>>,
    mails: Named<Count>,
}

impl Mailer {
    /// Uses the configured server; without a URL, sends nothing.
    ///
    /// # Errors
    /// `invalid_request` naming the invalid key.
    pub fn new(config: &config::Mail) -> Result<Self, Error> {
        let url = config.url.expose_secret();
        if url.is_empty() {
            return Ok(Self { out: None });
        }
        // The URL may hold a password, so the error does not repeat it.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| {
                Error::invalid_request("mail.url must be an SMTP URL, such as smtps://user:password@mail.example.com")
            })?
            .timeout(Some(ATTEMPT_MAX))
            .build();
        let from = config.from.parse().map_err(|_| {
            Error::invalid_request("mail.from must be the sender's address, such as Example <keys@example.com>")
        })?;
        let (queue, waiting) = channel(WAITING_MAX);
        let waiting = Mutex::new(Some(waiting));
        Ok(Self { out: Some(Out { transport, from, queue, waiting, mails: Named::of(MAILS) }) })
    }

    /// Connects, greets and authenticates as for a mail, but sends none; `None` if mail is not configured.
    pub async fn test(&self) -> Option<Result<(), String>> {
        let out = self.out.as_ref()?;
        Some(match out.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the mail server does not respond after the greeting".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// The number of mails in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.queue.max_capacity() - out.queue.capacity())
    }

    /// The number of mails by outcome, see [`MAILS`]; `None` if mail is not configured.
    #[must_use]
    pub fn mails(&self) -> Option<&Named<Count>> {
        self.out.as_ref().map(|out| &out.mails)
    }

    /// Queues a mail in plain text; never waits.
    pub fn send(&self, to: &str, subject: &str, text: String) {
        let Some(out) = &self.out else { return };
        let Ok(to) = to.parse() else {
            tracing::warn!("cannot send mail: invalid address");
            return;
        };
        let message = Message::builder()
            .message_id(Some(format!("<{}@{}>", secret::random_base62(24), out.from.email.domain())))
            .from(out.from.clone())
            .to(to)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text);
        match message.map(|message| out.queue.try_send(message).is_ok()) {
            Ok(true) => {}
            Ok(false) => {
                out.mails.with("dropped", Count::one);
                tracing::warn!("too many mails are waiting to be sent; dropping one");
            }
            Err(error) => tracing::warn!(%error, "could not create a mail"),
        }
    }

    /// Sends queued mail until `stop`; the rest is tried once more, for five seconds in total.
    pub async fn run(&self, stop: &CancellationToken) {
        let Some(out) = &self.out else { return };
        let waiting = out.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else { return };
        let too_late = async {
            stop.cancelled().await;
            sleep(STOP_MAX).await;
        };
        tokio::select! {
            () = out.deliver_all(&mut waiting, stop) => {}
            () = too_late => tracing::warn!("mail that was not sent before shutdown is lost"),
        }
    }
}

impl Out {
    async fn deliver_all(&self, waiting: &mut Receiver<Message>, stop: &CancellationToken) {
        loop {
            let next = tokio::select! {
                next = waiting.recv() => next,
                () = stop.cancelled() => break,
            };
            let Some(message) = next else { return };
            self.deliver(&message, stop).await;
        }
        while let Ok(message) = waiting.try_recv() {
            if !self.attempt(&message).await {
                return;
            }
        }
    }

    async fn deliver(&self, message: &Message, stop: &CancellationToken) {
        for pause in AGAIN_AFTER {
            if self.attempt(message).await {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        if !self.attempt(message).await {
            self.mails.with("given_up", Count::one);
            tracing::error!("giving up on a mail");
        }
    }

    async fn attempt(&self, message: &Message) -> bool {
        let sent = match timeout(ATTEMPT_MAX, self.transport.send(message.clone())).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not send a mail");
                false
            }
            Err(_) => {
                tracing::warn!("could not send a mail in time");
                false
            }
        };
        self.mails.with(if sent { "sent" } else { "failed" }, Count::one);
        sent
    }
}

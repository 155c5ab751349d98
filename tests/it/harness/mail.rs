//! Owns a test's own mail server on loopback. It delivers nothing and hands over what it received.

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};

use super::wait;

/// A mail server that receives one mail after another.
pub async fn server() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let (sender, mails) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reading, mut writing) = stream.into_split();
            let mut lines = BufReader::new(reading).lines();
            let (mut mail, mut is_data) = (String::new(), false);
            writing.write_all(b"220 mail.test\r\n").await.expect("sent");
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match (is_data, line.as_str()) {
                    (true, ".") => {
                        is_data = false;
                        sender.send(std::mem::take(&mut mail)).await.expect("handed over");
                        "250 kept\r\n"
                    }
                    (true, text) => {
                        mail.push_str(text);
                        mail.push('\n');
                        continue;
                    }
                    (false, "DATA") => {
                        is_data = true;
                        "354 go on\r\n"
                    }
                    (false, "QUIT") => "221 bye\r\n",
                    (false, _) => "250 ok\r\n",
                };
                writing.write_all(answer.as_bytes()).await.expect("sent");
            }
        }
    });
    (url, mails)
}

/// The next mail, with its long lines joined (RFC 2045 §6.7).
pub async fn next(mails: &mut mpsc::Receiver<String>) -> String {
    wait::in_time("a mail", mails.recv()).await.expect("a mail").replace("=\n", "")
}

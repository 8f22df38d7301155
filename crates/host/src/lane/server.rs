//! A lane's socket, and the threads of its connections.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::asker::HandlerQuestion;
use super::bell::Bell;
use crate::protocol::{Answer, LINE_LIMIT, Request};

/// What somebody asks, and where the answer goes.
pub(super) enum Question {
    /// The lane.
    Lane {
        request: Request,
        reply: Sender<Answer>,
    },
    /// An instance.
    Handler(HandlerQuestion),
}

/// Serves every connection on a thread of its own.
pub(super) fn serve(
    listener: UnixListener,
    questions: Sender<Question>,
    bell: Bell,
) -> io::Result<()> {
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No descriptor is free; one will be.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let (questions, bell) = (questions.clone(), bell.clone());
            let converse = move || {
                // It is over one way or the other.
                let _ = converse(&stream, &questions, &bell);
            };
            let _ = thread::Builder::new().spawn(converse);
        }
    };
    thread::Builder::new()
        .name("listener".into())
        .spawn(accept)?;
    Ok(())
}

fn converse(stream: &UnixStream, questions: &Sender<Question>, bell: &Bell) -> io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut reader)
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => {
                let (reply, answer) = channel();
                let question = Question::Lane { request, reply };
                if questions.send(question).is_err() {
                    return Ok(());
                }
                bell.ring();
                let gone = |_| Answer::Refused("the lane has ended".into());
                answer.recv().unwrap_or_else(gone)
            }
            Err(error) => Answer::Refused(format!("not understood: {error}")),
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        let mut out = stream;
        out.write_all(&text)?;
    }
}
